package stamped

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/local"
)

// Registry is the host of the pod's image, stamp:v1.
const Registry = "demo.lifepod.example"

// manifest is one container with requests and limits, a projected volume of three
// files, and an emptyDir.
const manifest = `
apiVersion: v1
kind: ConfigMap
metadata: {name: files}
data: {token: a, ca.crt: b, namespace: c}
---
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: main
    image: REGISTRY/stamp:v1
    command: [/stamp, /out/start]
    resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {cpu: "1", memory: 64Mi}}
    volumeMounts:
    - {name: out, mountPath: /out}
    - {name: files, mountPath: /var/run/secrets/files, readOnly: true}
  volumes:
  - {name: out, emptyDir: {}}
  - name: files
    projected: {sources: [{configMap: {name: files}}]}
`

// Start runs the pod, changed before if change is not nil, on a node with this
// root, and returns how long it took to the first statement of its program.
func Start(ctx context.Context, n *local.Node, root, name string, change func(*corev1.Pod)) (*local.Handle, time.Duration, error) {
	pods, others, err := local.Decode([]byte(strings.NewReplacer("NAME", name, "REGISTRY", Registry).Replace(manifest)))
	if err != nil {
		return nil, 0, err
	}
	if change != nil {
		change(pods[0])
	}
	if err := n.Apply(ctx, others...); err != nil {
		return nil, 0, err
	}
	began := Now()
	h, err := n.Run(ctx, pods[0])
	if err != nil {
		return nil, 0, err
	}
	for st, err := range h.Status(ctx) {
		if err != nil {
			return nil, 0, err
		}
		if st.Phase == corev1.PodRunning {
			break
		}
	}
	at, err := At(filepath.Join(root, "pods", string(h.Pod().UID)))
	return h, at - began, err
}

// Now is the clock that the program reads.
func Now() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // it cannot fail
	return time.Duration(now.Nano())
}

// At waits for what the pod's program wrote into the emptyDir of its directory.
func At(podDir string) (time.Duration, error) {
	file := filepath.Join(podDir, "volumes", "kubernetes.io~empty-dir", "out", "start")
	for range 10000 {
		if text, err := os.ReadFile(file); err == nil {
			ns, err := strconv.ParseInt(string(text), 10, 64)
			return time.Duration(ns), err
		}
		time.Sleep(time.Millisecond)
	}
	return 0, fmt.Errorf("no time in %s", file)
}

// Cells are the columns of a table that BENCHMARKS.md keeps: the least, the
// quantiles 50, 90 and 99 %, and the most, in milliseconds. It sorts all.
func Cells(all []time.Duration) string {
	slices.Sort(all)
	at := func(p float64) string { return Ms(all[min(len(all)-1, int(p*float64(len(all))))]) }
	return strings.Join([]string{Ms(all[0]), at(0.5), at(0.9), at(0.99), Ms(all[len(all)-1])}, " | ")
}

// Ms is a time in milliseconds.
func Ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }

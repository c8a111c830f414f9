package local_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/lifecycle/local"
)

// configured publishes images of one program that differ in their config.
func configured(t *testing.T, registry *imagetest.Registry, configs map[string]imagespec.ImageConfig) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "testbox")
	cmd := exec.Command("go", "build", "-o", out, "../../container/containertest/testbox")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, msg)
	}
	program, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	layers := []imagetest.Layer{imagetest.Program("testbox", program), {Files: []imagetest.File{
		{Name: "etc/"}, {Name: "etc/passwd", Data: []byte("root:x:0:0::/:\napp:x:1000:1001::/:\n")},
		{Name: "etc/group", Data: []byte("root:x:0:\napp:x:1001:\nextra:x:2000:app\n")},
		{Name: "data/"}, {Name: "data/seed", Data: []byte("from the image\n")},
	}}}
	for name, c := range configs {
		c.ExposedPorts = map[string]struct{}{"80/tcp": {}} // nothing comes of it
		c.Labels = map[string]string{"io.kubernetes.pod.name": "another"}
		img := imagetest.Image{Layers: layers}
		img.Config.Config = c
		if _, err := registry.Add(name+":v1", img); err != nil {
			t.Fatal(err)
		}
	}
}

// podOf is a pod with a line of YAML for each container.
func podOf(name, spec string, containers ...string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\nspec:\n  " + spec + "\n  containers:\n  - " +
		strings.ReplaceAll(strings.Join(containers, "\n  - "), "IMAGE", "image: demo.lifepod.example")
}

func logOf(t *testing.T, n *local.Node, name, container string) string {
	t.Helper()
	var out strings.Builder
	if err := n.Logs(t.Context(), name, local.LogOptions{Container: container}, &out, &out); err != nil {
		t.Error(err)
	}
	return out.String()
}

// What an image's config says of its process, and what the pod says over it, on
// a real kernel.
func TestImageConfig(t *testing.T) {
	o, registry := optionsWith(t)
	configured(t, registry, map[string]imagespec.ImageConfig{
		"echo": {Entrypoint: []string{"/testbox", "echo", "E"}, Cmd: []string{"C"}},
		"env":  {Entrypoint: []string{"/testbox", "env"}, Env: []string{"A=image", "B=image"}},
		"pwd":  {Entrypoint: []string{"/testbox", "pwd"}, WorkingDir: "/srv/here"},
		"id":   {Entrypoint: []string{"/testbox", "id"}, User: "app"},
		"ids":  {Entrypoint: []string{"/testbox", "id"}, User: "1000:extra"},
		"data": {Entrypoint: []string{"/testbox", "read", "/data/seed"}, Volumes: map[string]struct{}{"/data": {}}},
	})
	n := open(t, o)
	defer n.Close()
	h := runManifest(t, n, podOf("one", "restartPolicy: Never",
		`{name: image, IMAGE/echo:v1}`,
		`{name: args, IMAGE/echo:v1, args: [A]}`,
		`{name: command, IMAGE/echo:v1, command: [/testbox, echo, X]}`,
		`{name: both, IMAGE/echo:v1, command: [/testbox, echo, X], args: [A]}`,
		`{name: env, IMAGE/env:v1, env: [{name: B, value: pod}, {name: C, value: "$(B) $(A)"}]}`,
		`{name: pwd, IMAGE/pwd:v1}`,
		`{name: pwd-of-pod, IMAGE/pwd:v1, workingDir: /else}`,
		`{name: name, IMAGE/id:v1}`,
		`{name: ids, IMAGE/ids:v1}`,
		`{name: uid, IMAGE/id:v1, securityContext: {runAsUser: 7, runAsGroup: 8}}`,
		`{name: volume, IMAGE/data:v1}`))
	until(t, h, phase(corev1.PodSucceeded))
	// The kubelet passes an image's user on as the pod's own, without its group.
	for container, want := range map[string]string{
		"image": "E C\n", "args": "E A\n", "command": "X\n", "both": "X A\n",
		"pwd": "/srv/here\n", "pwd-of-pod": "/else\n",
		"name": "uid 1000 gid 1001 groups [1001 2000]\n", "ids": "uid 1000 gid 1001 groups [1001 2000]\n", "uid": "uid 7 gid 8 groups [8]\n",
		"volume": "from the image\n",
	} {
		if got := logOf(t, n, "one", container); got != want {
			t.Errorf("%s: %q, want %q", container, got, want)
		}
	}
	env := logOf(t, n, "one", "env")
	for _, want := range []string{"A=image\n", "B=pod\n", "C=pod $(A)\n"} { // the kubelet knows no variable of the image
		if !strings.Contains(env, want) {
			t.Errorf("no %q in %q", want, env)
		}
	}
	stop(t, h)

	h = runManifest(t, n, podOf("strict", "restartPolicy: Never\n  securityContext: {supplementalGroups: [9], supplementalGroupsPolicy: Strict}",
		`{name: name, IMAGE/id:v1}`))
	until(t, h, phase(corev1.PodSucceeded))
	if got := logOf(t, n, "strict", "name"); got != "uid 1000 gid 1001 groups [9 1001]\n" {
		t.Errorf("strictly: %q", got)
	}
	stop(t, h)
}

// Users that cannot be had keep a container from being made, with the words of
// the runtime or of the kubelet.
func TestImageUserErrors(t *testing.T) {
	o, registry := optionsWith(t)
	configured(t, registry, map[string]imagespec.ImageConfig{
		"ghost": {Entrypoint: []string{"/testbox", "id"}, User: "ghost"},
		"name":  {Entrypoint: []string{"/testbox", "id"}, User: "app"},
		"none":  {},
	})
	n := open(t, o)
	defer n.Close()
	for name, c := range map[string]struct{ spec, reason, message string }{
		"ghost": {"", "CreateContainerError", `user "ghost": no users found in the image's /etc/passwd`},
		"name": {"securityContext: {runAsNonRoot: true}", "CreateContainerConfigError",
			"container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root"},
		"none": {"", "CreateContainerError", "no command specified"},
	} {
		h := runManifest(t, n, podOf(name, c.spec, "{name: main, IMAGE/"+name+":v1}"))
		st := until(t, h, func(s corev1.PodStatus) bool { return waiting(s) == c.reason })
		if got := st.ContainerStatuses[0].State.Waiting.Message; !strings.Contains(got, c.message) {
			t.Errorf("%s: %s", name, got)
		}
		stop(t, h)
	}
}

// The signal that stops a container is the image's: Go programs end with 2 after
// SIGQUIT, this one with 3 after SIGTERM.
func TestImageStopSignal(t *testing.T) {
	o, registry := optionsWith(t)
	trap := []string{"/testbox", "trap"}
	configured(t, registry, map[string]imagespec.ImageConfig{
		"term": {Entrypoint: trap}, "quit": {Entrypoint: trap, StopSignal: "SIGQUIT"}, "number": {Entrypoint: trap, StopSignal: "3"},
	})
	n := open(t, o)
	defer n.Close()
	names := []string{"term", "quit", "number"}
	var containers []string
	for _, name := range names {
		containers = append(containers, "{name: "+name+", IMAGE/"+name+":v1}")
	}
	h := runManifest(t, n, podOf("signals", "restartPolicy: Never\n  terminationGracePeriodSeconds: 60", containers...))
	until(t, h, phase(corev1.PodRunning))
	for _, name := range names {
		awaitLog(t, n, "signals", name, "ready")
	}
	last := stop(t, h)
	want := map[string]int32{"term": 3, "quit": 2, "number": 2}
	for _, c := range last.ContainerStatuses {
		if end := c.State.Terminated; end == nil || end.ExitCode != want[c.Name] {
			t.Errorf("%s ended as %+v, want exit code %d", c.Name, end, want[c.Name])
		}
	}
	if len(last.ContainerStatuses) != len(names) {
		t.Errorf("statuses %+v", last.ContainerStatuses)
	}
}

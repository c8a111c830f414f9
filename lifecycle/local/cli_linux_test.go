package local_test

import (
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/container/cli"
	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/lifecycle/local"
)

// The same pod, its containers made by a runtime program in libcontainer's place:
// it becomes Ready, a container that is killed is started again, and nothing is
// left of it.
func TestWebPodByRuntimePrograms(t *testing.T) {
	for _, program := range []string{"runc", "crun"} {
		t.Run(program, func(t *testing.T) {
			path := testutil.RequirePeer(t, program)
			o := options(t)
			containers, err := cli.Open(cli.Options{
				Path: path, Root: o.Root, Run: o.Run, CgroupRoot: o.CgroupRoot, SupervisorIdle: o.SupervisorIdle,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer containers.Close()
			o.Containers = containers
			n := open(t, o)
			defer n.Close()
			h := runFile(t, n, "../../examples/pods/web.yaml")
			st := until(t, h, ready)
			if st.Phase != corev1.PodRunning || st.PodIP == "" {
				t.Errorf("status %+v", st)
			}
			if bundles, err := filepath.Glob(filepath.Join(o.Run, "containers", "*", "bundle")); err != nil || len(bundles) < 3 {
				t.Errorf("the program made %q, %v", bundles, err)
			}
			killWeb(t, containers, h, st)
			if err := h.Stop(soon(t)); err != nil {
				t.Fatal(err)
			}
			if left, err := containers.List(t.Context()); err != nil || len(left) > 0 {
				t.Errorf("left: %+v, %v", left, err)
			}
		})
	}
}

// killWeb kills the web server and waits until it is there again.
func killWeb(t *testing.T, containers *cli.Runtime, h *local.Handle, st corev1.PodStatus) {
	t.Helper()
	web := func(s corev1.PodStatus) *corev1.ContainerStatus {
		i := slices.IndexFunc(s.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.Name == "web" })
		return &s.ContainerStatuses[i]
	}
	_, id, _ := strings.Cut(web(st).ContainerID, "://")
	if err := containers.Signal(t.Context(), id, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	st = until(t, h, func(s corev1.PodStatus) bool { return web(s).RestartCount == 1 && ready(s) })
	if last := web(st).LastTerminationState.Terminated; last == nil || last.ExitCode != 137 {
		t.Errorf("the killed container is told as %+v", last)
	}
}

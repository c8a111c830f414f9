package local_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/lifecycle/local"
)

// A pod does not notice that its supervisor goes on as another program, whether
// its node is open or not.
func TestUpgradeSupervisor(t *testing.T) {
	o := options(t)
	if err := local.UpgradeSupervisor(t.Context(), o); err != nil {
		t.Errorf("of a root without pods: %v", err)
	}
	n := open(t, o)
	h := runFile(t, n, "../../examples/pods/web.yaml")
	st := until(t, h, ready)
	one := supervisor(t, o)
	if err := local.UpgradeSupervisor(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	other := o // another release's program, at another place
	var err error
	if other.Supervisor, err = prebuilt(); err != nil {
		t.Fatal(err)
	}
	if err := local.UpgradeSupervisor(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if now := supervisor(t, o); now != one {
		t.Errorf("process %s followed %s", now, one)
	}
	if exe, err := os.Readlink("/proc/" + one + "/exe"); err != nil || exe != other.Supervisor {
		t.Errorf("it is %s, %v, want %s", exe, err, other.Supervisor)
	}
	n = open(t, o)
	defer n.Close()
	pods, err := n.List(t.Context())
	if err != nil || len(pods) != 1 {
		t.Fatalf("%d pods, %v", len(pods), err)
	}
	for i, c := range pods[0].Status.ContainerStatuses {
		if c.RestartCount != 0 || c.State.Running == nil || c.ContainerID != st.ContainerStatuses[i].ContainerID {
			t.Errorf("%s: %+v, it was %+v", c.Name, c, st.ContainerStatuses[i])
		}
	}
	if err := n.Stop(soon(t), pods[0].Pod.Name, nil); err != nil {
		t.Fatal(err)
	}
}

// What has no supervisor of its own is refused.
func TestUpgradeSupervisorRefused(t *testing.T) {
	err := local.UpgradeSupervisor(t.Context(), local.Options{CRI: &local.CRI{Name: "containerd"}})
	if err == nil || !strings.Contains(err.Error(), "containerd's") {
		t.Errorf("with another CRI: %v", err)
	}
}

// supervisor is the pid of the one that lives.
func supervisor(t *testing.T, o local.Options) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(o.Run, "supervisor.alive"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

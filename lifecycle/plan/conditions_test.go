package plan

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

// The last status of a deleted pod says how its sandbox ended, not that it was
// removed since.
func TestSandboxConditionStaysAtTheEnd(t *testing.T) {
	in := good()
	boxes := in.Observed.Sandboxes
	in.Observed.Sandboxes[0].Ready = false
	in.Memory.Stage = Terminated
	was := Next(*in).Status
	in.Memory.Status = &was
	in.Observed.Sandboxes = nil
	want := "pod sandbox is not ready"
	if got := podutil.Condition(&was, corev1.PodReadyToStartContainers).Message; got != want {
		t.Fatalf("before: %q", got)
	}
	is := Next(*in).Status
	if got := podutil.Condition(&is, corev1.PodReadyToStartContainers).Message; got != want {
		t.Errorf("sandbox %v removed: %q, want %q", boxes, got, want)
	}
}

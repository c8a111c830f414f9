package plan_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/plan"
	podutil "github.com/lifepod/lifepod/pod"
)

type goldenPod struct {
	ID                string
	Pod               *corev1.Pod
	PodIsTerminal     bool
	PodHasInitialized bool
	Phase             corev1.PodPhase
	Conditions        []corev1.PodCondition
	Restart           map[string]goldenRestart
}

type goldenRestart struct {
	ExitCode    int32
	Restart     bool
	MatchedRule corev1.ContainerRestartRuleAction
}

// TestGolden holds phase, conditions and restart decisions against the answers
// of Kubernetes' own code.
func TestGolden(t *testing.T) {
	f, err := os.Open("testdata/phase.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var g goldenPod
		if err := json.Unmarshal(lines.Bytes(), &g); err != nil {
			t.Fatal(err)
		}
		n++
		checkGolden(t, g)
	}
	if lines.Err() != nil || n != 500 {
		t.Fatalf("read %d pods of 500: %v", n, lines.Err())
	}
}

func checkGolden(t *testing.T, g goldenPod) {
	t.Helper()
	regular, inits := g.Pod.Status.ContainerStatuses, g.Pod.Status.InitContainerStatuses
	phase := plan.Phase(g.Pod, slices.Concat(regular, inits), g.PodIsTerminal, g.PodHasInitialized)
	if phase != g.Phase {
		t.Errorf("%s: phase %s, want %s", g.ID, phase, g.Phase)
	}
	all := append(append([]corev1.ContainerStatus{}, inits...), regular...)
	got := []corev1.PodCondition{
		plan.InitializedCondition(g.Pod, &corev1.PodStatus{}, all, phase),
		plan.ReadyCondition(g.Pod, g.Pod.Status.Conditions, all, phase),
		plan.ContainersReadyCondition(g.Pod, all, phase),
	}
	if !reflect.DeepEqual(got, g.Conditions) {
		t.Errorf("%s: conditions\n got %+v\nwant %+v", g.ID, got, g.Conditions)
	}
	for name, want := range g.Restart {
		c, _ := podutil.Find(&g.Pod.Spec, name)
		restart, rule := plan.ShouldRestart(g.Pod, c, want.ExitCode)
		if restart != want.Restart {
			t.Errorf("%s: restart of %s after %d: %v", g.ID, name, want.ExitCode, restart)
		}
		action := corev1.ContainerRestartRuleAction("")
		if rule != nil {
			action = rule.Action
		}
		if action != want.MatchedRule {
			t.Errorf("%s: rule of %s: %q, want %q", g.ID, name, action, want.MatchedRule)
		}
	}
}

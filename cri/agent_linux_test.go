package cri_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lifepod/lifepod/cri"
	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/internal/testutil"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// agentPlace is what a child needs of its parent's place.
type agentPlace struct{ Dir, Host, Ref, Programs string }

// agent is the child: it leads a pod through its whole life, unless it is killed
// at the failpoint in its environment.
func agent(file string) int {
	var a agentPlace
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	if err == nil {
		p := &place{a.Dir, a.Host, a.Ref, a.Programs}
		err = p.live(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// live runs a pod and takes it away again.
func (p *place) live(ctx context.Context) (err error) {
	r, closeAll, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	sb, err := r.RunPodSandbox(ctx, p.config("crash"), "")
	if err != nil {
		return err
	}
	id, err := r.CreateContainer(ctx, sb, p.container("main", "sleep"), nil)
	if err != nil {
		return err
	}
	if err := r.StartContainer(ctx, id); err != nil {
		return err
	}
	return errors.Join(r.StopContainer(ctx, id, 0), r.RemoveContainer(ctx, id), r.StopPodSandbox(ctx, sb), r.RemovePodSandbox(ctx, sb))
}

// removeAll is what a new agent does about a pod that is to go.
func removeAll(ctx context.Context, r *cri.Runtime) error {
	sbs, err := r.ListPodSandbox(ctx, nil)
	for _, s := range sbs {
		err = errors.Join(err, r.RemovePodSandbox(ctx, s.GetId()))
	}
	cs, lerr := r.ListContainers(ctx, nil)
	if len(cs) > 0 {
		err = errors.Join(err, fmt.Errorf("%d containers without a sandbox", len(cs)))
	}
	return errors.Join(err, lerr)
}

// points are the failpoints to die at. All of them, and at later times too, with
// LIFEPOD_CRASH_FULL=1.
func points() []string {
	var out []string
	full := os.Getenv("LIFEPOD_CRASH_FULL") == "1"
	for _, e := range sys.Effects() {
		block, _, _ := strings.Cut(e, "/")
		last := map[string]int{"cri": 2}[block]
		if full {
			last = map[string]int{"cri": 4, "netns": 3, "bridge": 3, "image": 3, "container": 8, "sys": 6, "cgroups": 3}[block]
		}
		if testing.Short() {
			last = min(last, 1)
		}
		for n := 1; n <= last; n++ {
			out = append(out, fmt.Sprintf("%s:before:kill:%d", e, n), fmt.Sprintf("%s:after:kill:%d", e, n))
		}
	}
	return out
}

// The process is killed at each effect; the next one finds nothing that it
// cannot remove, and leads the same pod through the same life.
func TestKilledOnKernel(t *testing.T) {
	p := newPlace(t)
	file := filepath.Join(p.dir, "place.json")
	b, err := json.Marshal(agentPlace{p.dir, p.host, p.ref, p.programs})
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	killed := 0
	for _, point := range points() {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "CRI_TEST_AGENT="+file, sys.FailpointEnv+"="+point)
		out, err := cmd.CombinedOutput()
		switch {
		case err == nil: // it does not come by there
			continue
		case err.Error() != "signal: killed":
			t.Errorf("%s: %v\n%s", point, err, out)
		}
		killed++
		r, closeAll, err := p.open(t.Context())
		if err != nil {
			t.Fatalf("%s: the next one: %v", point, err)
		}
		err = removeAll(t.Context(), r)
		p.settle()
		if err := errors.Join(err, closeAll()); err != nil {
			t.Errorf("%s: the next one removes: %v", point, err)
		}
		p.wantEmpty(t)
		for _, l := range testutil.Leaks(testutil.Scope{Dirs: []string{filepath.Join(p.dir, "run/cri"), filepath.Join(p.dir, "root")}}) {
			t.Errorf("%s: left %s", point, l)
		}
		if err := p.live(t.Context()); err != nil {
			t.Errorf("%s: the same pod once more: %v", point, err)
		}
		if t.Failed() {
			t.Fatalf("stopped at %s", point)
		}
	}
	if killed < 10 {
		t.Errorf("the process came by %d of %d failpoints only", killed, len(points()))
	}
	t.Logf("killed at %d of %d failpoints", killed, len(points()))
}

// A container that runs on after its agent was killed keeps its exit code for
// the next one.
func TestAdoptOnKernel(t *testing.T) {
	p := newPlace(t)
	ctx := t.Context()
	first, closeFirst, err := p.open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	sb := must[string](t)(first.RunPodSandbox(ctx, p.config("adopt"), ""))
	id := must[string](t)(first.CreateContainer(ctx, sb, p.container("main", "sleep"), nil))
	must[int](t)(0, first.StartContainer(ctx, id))
	if _, _, err := first.ExecSync(ctx, id, []string{"/task", "await"}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := closeFirst(); err != nil {
		t.Fatal(err)
	}
	r := p.mustOpen(t)
	t.Cleanup(func() { must[int](t)(0, removeAll(context.Background(), r)) })
	if st := must[*runtimeapi.PodSandboxStatusResponse](t)(r.PodSandboxStatus(ctx, sb, false)); st.GetStatus().GetState() != runtimeapi.PodSandboxState_SANDBOX_READY || st.GetStatus().GetNetwork().GetIp() == "" {
		t.Errorf("adopted sandbox: %v", st)
	}
	must[int](t)(0, r.StopContainer(ctx, id, 30))
	if st := must[*runtimeapi.ContainerStatusResponse](t)(r.ContainerStatus(ctx, id, false)); st.GetStatus().GetExitCode() != 143 {
		t.Errorf("adopted container: %v", st)
	}
}

//go:build linux

package runc_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc/internal/boot"
	"github.com/lifepod/lifepod/internal/sys"
)

// The supervisor is killed once at each point of each of its effects, and each
// effect fails once. A caller that tries again comes to the same end, and nothing
// is left. LIFEPOD_CRASH_POINTS=all tries every point; else every sixth.
func TestCrashPoints(t *testing.T) {
	var effects []string
	for _, e := range sys.Effects() { // this binary holds the supervisor's too
		if strings.HasPrefix(e, "container/") && e != "container/supervisor" && e != "container/message" {
			effects = append(effects, e)
		}
	}
	if effects = append(effects, "sys/rename"); len(effects) < 19 {
		t.Fatalf("only %d effects: %v", len(effects), effects)
	}
	all := os.Getenv("LIFEPOD_CRASH_POINTS") == "all"
	points, hit := 0, 0
	for _, e := range effects {
		for _, point := range []string{"before:kill", "after:kill", "before:error", "after:error"} {
			n := []string{":1"}
			if e == "sys/rename" && strings.HasSuffix(point, "kill") { // records: spec, creating, created, starting, running, exit, deleting
				n = []string{":1", ":2", ":3", ":4", ":5", ":6", ":7"}
			}
			for _, n := range n {
				if points++; all || points%6 == 2 {
					t.Run(e+":"+point+n, func(t *testing.T) { crashAt(t, e+":"+point+n) })
					hit++
				}
			}
		}
	}
	t.Logf("%d of %d points", hit, points)
}

func crashAt(t *testing.T, point string) {
	p := newPlace(t)
	p.usePrebuilt()
	// The gate goes with the first hit: a supervisor that goes on as another program
	// would come to the point again with each upgrade.
	gate := filepath.Join(p.dir, "gate")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(boot.FailpointEnv, point+":"+gate)
	r := p.open()
	ctx := context.Background()
	connect := func() {
		once, stop := context.WithTimeout(ctx, 100*time.Millisecond)
		defer stop()
		for range r.Events(once) { // starts the supervisor, or fails where that is the point
		}
	}
	connect()
	os.Unsetenv(boot.FailpointEnv) // for those that follow
	spec := container.Spec{ID: "a", OCI: p.oci("a", "/testbox", "exit", "5"), Log: p.dir + "/logs/a.log", Stdin: true}
	again(t, "create", func() error {
		err := r.Create(ctx, spec)
		if _, serr := r.State(ctx, "a"); serr == nil {
			return nil // the answer was lost, the container not
		}
		return err
	})
	again(t, "upgrade", func() error { return r.Upgrade(ctx) })
	again(t, "start", func() error {
		err := r.Start(ctx, "a")
		if st := p.state(r, "a"); st.Status == container.Stopped {
			return nil
		}
		return err
	})
	st := p.awaitStop(r, "a")
	if !slices.Contains([]int{5, 128, container.UnknownExitCode}, st.ExitCode) || st.ExitCode == container.UnknownExitCode && !st.ExitUnknown {
		t.Errorf("in the end: %+v", st)
	}
	again(t, "signal", func() error { return r.Signal(ctx, "a", os.Kill) })
	again(t, "delete", func() error { return r.Delete(ctx, "a") })
	again(t, "list", func() error {
		all, err := r.List(ctx)
		if err == nil && len(all) > 0 {
			t.Errorf("left %v", all)
		}
		return err
	})
	connect() // one that died with nothing left to do left its cgroup to the next
}

func again(t *testing.T, what string, f func() error) {
	t.Helper()
	var err error
	for range 4 {
		if err = f(); err == nil {
			return
		}
		t.Logf("%s: %v", what, err)
	}
	t.Errorf("%s: %v", what, err)
}

//go:build linux

package cli_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container/cli"
	"github.com/lifepod/lifepod/container/containertest"
	"github.com/lifepod/lifepod/container/runc"
	"github.com/lifepod/lifepod/internal/testutil"
)

// place is one root with a root file system, and a supervisor that goes soon.
type place struct {
	t      testing.TB
	dir    string
	rootfs string
	opts   cli.Options
}

// newPlace checks at the test's end that nothing is left of it.
func newPlace(t testing.TB, program string) *place {
	testutil.RequireRoot(t)
	path := testutil.RequirePeer(t, program)
	dir, err := os.MkdirTemp("", "lp")
	if err != nil {
		t.Fatal(err)
	}
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{dir}, Names: []string{"lifepod-" + runc.RootID(dir)}})
	p := &place{t: t, dir: dir, rootfs: filepath.Join(dir, "rootfs"), opts: cli.Options{
		Path: path, Root: dir, Run: filepath.Join(dir, "run"), SupervisorIdle: 50 * time.Millisecond,
		Log: funcr.New(func(_, args string) { t.Log(args) }, funcr.Options{}),
	}}
	t.Cleanup(func() {
		p.awaitEnd()
		os.RemoveAll(dir)
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	containertest.Rootfs(t, p.rootfs)
	return p
}

// awaitEnd waits until no supervisor lives.
func (p *place) awaitEnd() {
	p.t.Helper()
	f, err := os.Open(filepath.Join(p.opts.Run, "supervisor.alive"))
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		p.t.Error(err)
		return
	}
	defer f.Close()
	for end := time.Now().Add(20 * time.Second); unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil; {
		if time.Now().After(end) {
			p.t.Error("the supervisor does not end")
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (p *place) open() *cli.Runtime {
	p.t.Helper()
	r, err := cli.Open(p.opts)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if err := r.Close(); err != nil {
			p.t.Error(err)
		}
	})
	return r
}

func (p *place) oci(id string, args ...string) *specs.Spec {
	return containertest.OCI(p.rootfs, "/lifepod-"+runc.RootID(p.dir)+"/"+id, args...)
}

func (p *place) env() containertest.Env {
	return containertest.Env{Runtime: p.open(), Dir: p.dir, OCI: p.oci}
}

func TestSuite(t *testing.T) {
	for _, program := range []string{"runc", "crun"} {
		t.Run(program, func(t *testing.T) {
			env := newPlace(t, program).env()
			containertest.Run(t, func(*testing.T) containertest.Env { return env })
		})
	}
}

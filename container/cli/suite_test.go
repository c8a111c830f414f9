//go:build linux

package cli_test

import (
	"testing"

	"github.com/go-logr/logr/funcr"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container/cli"
	"github.com/lifepod/lifepod/container/containertest"
	"github.com/lifepod/lifepod/container/internal/supervised"
	"github.com/lifepod/lifepod/internal/testutil"
)

// place is one root with a root file system, and a supervisor that goes soon.
type place struct {
	t    testing.TB
	dir  string
	opts cli.Options
}

// newPlace checks at the test's end that nothing is left of it.
func newPlace(t testing.TB, program string) *place {
	path := testutil.RequirePeer(t, program)
	dir := supervised.Root(t)
	return &place{t: t, dir: dir, opts: cli.Options{
		Path: path, Root: dir, Run: supervised.Run(dir), SupervisorIdle: supervised.Idle,
		Log: funcr.New(func(_, args string) { t.Log(args) }, funcr.Options{}),
	}}
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
	return supervised.OCI(p.dir, id, args...)
}

func (p *place) env() containertest.Env {
	return supervised.Env(p.dir, p.open())
}

func TestSuite(t *testing.T) {
	for _, program := range []string{"runc", "crun"} {
		t.Run(program, func(t *testing.T) {
			env := newPlace(t, program).env()
			containertest.Run(t, func(*testing.T) containertest.Env { return env })
		})
	}
}

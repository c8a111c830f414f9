//go:build linux

package runc_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-logr/logr/funcr"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container/containertest"
	"github.com/lifepod/lifepod/container/internal/supervised"
	"github.com/lifepod/lifepod/container/runc"
)

// place is one root with a root file system, and a supervisor that goes soon.
type place struct {
	t    testing.TB
	dir  string
	opts runc.Options
}

// newPlace checks at the test's end that nothing is left of it.
func newPlace(t testing.TB) *place {
	dir := supervised.Root(t)
	return &place{t: t, dir: dir, opts: runc.Options{
		Root: dir, Run: supervised.Run(dir), SupervisorIdle: supervised.Idle,
		Log: funcr.New(func(_, args string) { t.Log(args) }, funcr.Options{}),
	}}
}

func (p *place) open() *runc.Runtime {
	p.t.Helper()
	r, err := runc.Open(p.opts)
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

// The tests' own binary is the supervisor here, one for the whole suite.
func TestSuiteReexecuted(t *testing.T) {
	env := newPlace(t).env()
	containertest.Run(t, func(*testing.T) containertest.Env { return env })
}

var prebuiltDir string

// prebuilt builds the supervisor once.
var prebuilt = sync.OnceValues(func() (string, error) {
	if pre := os.Getenv("LIFEPOD_SUPERVISOR_PROGRAM"); pre != "" { // in the VM there is no compiler
		return pre, nil
	}
	dir, err := os.MkdirTemp("", "lifepod-supervisor-")
	if err != nil {
		return "", err
	}
	prebuiltDir = dir
	file := filepath.Join(dir, "lifepod-supervisor")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, "github.com/lifepod/lifepod/cmd/lifepod-supervisor")
	cmd.Stderr = os.Stderr
	return file, cmd.Run()
})

// usePrebuilt has p's supervisor be the program of cmd/lifepod-supervisor.
func (p *place) usePrebuilt() {
	p.t.Helper()
	file, err := prebuilt()
	if err != nil {
		p.t.Fatalf("build lifepod-supervisor: %v", err)
	}
	p.opts.Supervisor = file
}

func TestSuitePrebuilt(t *testing.T) {
	containertest.Run(t, func(t *testing.T) containertest.Env {
		p := newPlace(t)
		p.usePrebuilt()
		return p.env()
	})
}

func TestMain(m *testing.M) {
	if dir := os.Getenv("RUNC_TEST_AGENT"); dir != "" {
		agent(dir)
	}
	code := m.Run()
	if prebuiltDir != "" {
		os.RemoveAll(prebuiltDir)
	}
	os.Exit(code)
}

package cri

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/cri/critest"
)

// world is the fakes below one or several Runtimes.
type world struct {
	o       Options
	rt      *fakeRuntime
	images  *fakeImages
	net     *fakeNet
	ns      *fakeNS
	cgroups *fakeCgroups
	machine *fakeMachine
}

func newWorld(t testing.TB) *world {
	dir := t.TempDir()
	return newWorldIn(filepath.Join(dir, "root"), filepath.Join(dir, "run"))
}

func newWorldIn(root, run string) *world {
	w := &world{rt: &fakeRuntime{}, images: newFakeImages(), net: &fakeNet{}, ns: &fakeNS{}, cgroups: &fakeCgroups{}, machine: &fakeMachine{boot: "boot-1"}}
	w.o = Options{
		Root: root, Run: run, Images: w.images, Roots: w.images, Runtime: w.rt, Network: w.net,
		Namespaces: w.ns, Cgroups: w.cgroups, machine: w.machine,
	}
	return w
}

// open makes a Runtime over what there is.
func (w *world) open(t testing.TB) *Runtime {
	t.Helper()
	r, err := New(context.Background(), w.o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(context.Background()) })
	return r
}

// wantEmpty fails if anything is left of sandboxes and containers.
func (w *world) wantEmpty(t testing.TB) {
	t.Helper()
	sts, _ := w.rt.List(context.Background())
	w.cgroups.mu.Lock()
	defer w.cgroups.mu.Unlock()
	if len(sts) > 0 || w.net.count() > 0 || w.images.roots() > 0 || len(w.cgroups.made) > 0 {
		t.Errorf("left: %d processes, %d attachments, %d root filesystems, cgroups %v", len(sts), w.net.count(), w.images.roots(), w.cgroups.made)
	}
	for _, dir := range []string{w.o.Run, w.o.Root} {
		_ = filepath.WalkDir(dir, func(p string, d os.DirEntry, _ error) error {
			rel, _ := filepath.Rel(dir, p)
			if d != nil && d.Name() == lockFile && filepath.Dir(filepath.Dir(rel)) == "cri" {
				return nil // the tables' own
			}
			if d != nil && (!d.IsDir() || len(filepath.SplitList(rel)) > 0 && filepath.Dir(rel) != "." && filepath.Dir(rel) != "cri" && rel != ".") {
				t.Errorf("left: %s", p)
			}
			return nil
		})
	}
}

func TestSuiteOnFakes(t *testing.T) {
	critest.Run(t, func(t *testing.T) critest.Env {
		w := newWorld(t)
		w.images.img.Config.Config.StopSignal = ""
		t.Cleanup(func() { w.wantEmpty(t) })
		r := w.open(t)
		return critest.Env{Runtime: r, Images: r, Image: fakeRef, Program: "/task", CgroupParent: "/pods/one", LogDir: filepath.Join(t.TempDir(), "logs")}
	})
}

var _ container.Runtime = (*fakeRuntime)(nil)

package cri_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The image has neither /proc nor /etc/hosts, on which every container has mounts:
// the container's own layer does not get them. What a container writes beside them
// is its own, and what the image has beside them is there.
func TestMountPointsOnKernel(t *testing.T) {
	p := newPlace(t)
	r := p.mustOpen(t)
	ctx := t.Context()
	sb := must[string](t)(r.RunPodSandbox(ctx, p.config("places"), ""))
	t.Cleanup(func() { must[int](t)(0, r.RemovePodSandbox(context.Background(), sb)) })
	start := func(name string) (id string, in func(words ...string) string) {
		id = must[string](t)(r.CreateContainer(ctx, sb, p.container(name, "sleep"), nil))
		must[int](t)(0, r.StartContainer(ctx, id))
		return id, func(words ...string) string {
			out, errs, err := r.ExecSync(ctx, id, append([]string{"/task"}, words...), time.Minute)
			if err != nil {
				return err.Error() + string(out) + string(errs)
			}
			return string(out)
		}
	}
	one, inOne := start("one")
	two, inTwo := start("two")
	if got := inOne("write", "/etc/own"); got != "" {
		t.Errorf("write: %s", got)
	}
	for _, file := range []string{"/etc/passwd", "/proc/self/status", "/etc/hosts"} {
		if got := inTwo("read", file); strings.Contains(got, "no such file") || got == "" {
			t.Errorf("%s: %q", file, got)
		}
	}
	if got := inTwo("read", "/etc/own"); !strings.Contains(got, "no such file") {
		t.Errorf("another container reads %q", got)
	}
	root := filepath.Join(p.dir, "root")
	for dir, want := range map[string][]string{
		filepath.Join(root, "snapshots/keys", one, "fs"): {"etc", "etc/own", "ready"}, // the program writes the latter
		filepath.Join(root, "snapshots/keys", two, "fs"): {"ready"},
		filepath.Join(root, "mountpoints"):               {"dev", "etc", "etc/hostname", "etc/hosts", "etc/resolv.conf", "proc", "sys"},
	} {
		if got := filesIn(t, dir); !slices.Equal(got, want) {
			t.Errorf("%s has %q, want %q", dir, got, want)
		}
	}
}

func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	for _, pattern := range []string{"*", "*/*"} {
		found := must[[]string](t)(filepath.Glob(filepath.Join(dir, pattern)))
		for _, f := range found {
			rel := must[string](t)(filepath.Rel(dir, f))
			names = append(names, rel)
			if fi := must[os.FileInfo](t)(os.Lstat(f)); fi.Size() > 0 && fi.Mode().IsRegular() && strings.HasSuffix(dir, "mountpoints") {
				t.Errorf("somebody wrote to %s", f)
			}
		}
	}
	slices.Sort(names)
	return names
}

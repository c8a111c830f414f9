package image_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/internal/sys"
	"golang.org/x/sys/unix"
)

// tmpfs mounts a filesystem of a size for a test.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A disk that is full at any page or any inode that a pull needs: the error says
// so, nothing half-made stays, and the pull completes once there is space.
func TestFullDisk(t *testing.T) {
	_, reg, host := open(t, image.Options{})
	img := imagetest.Random(1, 2, 4000)
	if _, err := reg.Add("a:1", img); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]string{"pages": "nr_inodes=1000,size=%[1]dk", "inodes": "size=16m,nr_inodes=%[2]d"} {
		t.Run(name, func(t *testing.T) {
			inOpen, inPull := 0, 0
			for n := 1; ; n++ {
				dir := tmpfs(t, fmt.Sprintf(size, n*os.Getpagesize()>>10, n))
				opened, err := fullAt(t, dir, host+"/a:1")
				switch {
				case err == nil && opened:
					t.Logf("full %d times as the store was opened, and %d times as it pulled", inOpen, inPull)
					if inOpen < 5 || inPull < 20 {
						t.Error("that is not every time")
					}
					return
				case !opened:
					inOpen++
				default:
					inPull++
				}
				if t.Failed() {
					t.Fatalf("with %d %s: %v", n, name, err)
				}
			}
		})
	}
}

// fullAt opens a store and pulls, on a disk that may be full, makes space and
// does it again. err is what happened first.
func fullAt(t *testing.T, dir, name string) (opened bool, err error) {
	t.Helper()
	s, err := image.Open(dir, image.Options{NoSync: true})
	if opened = err == nil; opened {
		if _, err = s.Pull(t.Context(), name, image.PullOptions{}); err != nil {
			checkEmpty(t, s)
		}
	}
	if err == nil {
		return true, s.Close()
	}
	if !errors.Is(err, syscall.ENOSPC) || opened && !strings.Contains(err.Error(), "free space") {
		t.Errorf("the error does not say that the disk is full: %v", err)
	}
	if merr := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=16m,nr_inodes=1000"); merr != nil {
		t.Fatal(merr)
	}
	if !opened {
		if s, err = image.Open(dir, image.Options{NoSync: true}); err != nil {
			t.Fatalf("with space again: %v", err)
		}
	}
	if _, perr := s.Pull(t.Context(), name, image.PullOptions{}); perr != nil {
		t.Errorf("with space again: %v", perr)
	}
	wantClean(t, s)
	return opened, errors.Join(err, s.Close())
}

// TestHelperError is a process in which one effect fails, once: what the call
// that met it left behind is none of the store's, and all calls succeed after.
func TestHelperError(t *testing.T) {
	root, name, ok := strings.Cut(os.Getenv("IMAGE_TEST_ERROR"), "|")
	if !ok {
		t.Skip("it is a helper of other tests")
	}
	s, err := image.Open(root, image.Options{NoSync: true})
	if err != nil {
		fmt.Println("failed: open:", err)
		if s, err = image.Open(root, image.Options{NoSync: true}); err != nil {
			t.Fatal("again:", err)
		}
	}
	for i, step := range []func() error{
		func() error { _, err := s.Pull(t.Context(), name, image.PullOptions{}); return err },
		func() error {
			img, err := s.Get(t.Context(), name)
			if err == nil {
				_, err = s.Prepare(t.Context(), "k", img.ID)
			}
			return err
		},
		func() error { return s.RemoveSnapshot(t.Context(), "k") },
		func() error { return s.Remove(t.Context(), name) },
		func() error { return s.Collect(t.Context()) },
	} {
		if err := step(); err != nil {
			fmt.Println("failed: step", i, err)
			if left, _ := filepath.Glob(filepath.Join(root, "*/ingest/*/[bk]*")); len(left) > 0 {
				t.Errorf("step %d left %q", i, left)
			}
			wantClean(t, s)
			if err := step(); err != nil {
				t.Fatal("again:", err)
			}
		}
		wantClean(t, s)
	}
	noOrphans(t, s)
	if err := s.Close(); err != nil {
		fmt.Println("failed: close:", err)
	}
}

// An error of every effect of a pull, each time that it has one.
func TestEffectsFail(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	if _, err := reg.Add("a:1", imagetest.Random(1, 2, 2000)); err != nil {
		t.Fatal(err)
	}
	run := func(failpoint string) string {
		t.Helper()
		cmd := helper("", "", "IMAGE_TEST_ERROR="+t.TempDir()+"|"+host+"/a:1", sys.FailpointEnv+"="+failpoint)
		cmd.Args[1] = "-test.run=^TestHelperError$"
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", failpoint, err, out)
		}
		return string(out)
	}
	trace := filepath.Join(s.Root(), "trace")
	run("trace:" + trace)
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	points := map[string]int{}
	for point := range strings.Lines(string(b)) {
		points[strings.TrimSpace(point)]++
	}
	if err := os.Remove(trace); err != nil {
		t.Fatal(err)
	}
	failed := map[string]int{}
	for point, times := range points {
		for n := 1; n <= min(times, 2*rounds(10)); n++ {
			if out := run(fmt.Sprintf("%s:error:%d", point, n)); strings.Contains(out, "failed: ") {
				failed[point]++
			}
		}
	}
	t.Logf("of the effects %v these were met as errors: %v", points, failed)
	for _, e := range []string{"image/commit", "image/meta", "image/remove", "sys/rename"} {
		if !slices.ContainsFunc([]string{e + ":before", e + ":after"}, func(p string) bool { return failed[p] > 0 }) {
			t.Errorf("no error of %s was met", e)
		}
	}
}

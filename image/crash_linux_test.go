package image_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/internal/sys"
)

// TestHelperPull is the process that is killed: it pulls, prepares, removes,
// and begins anew.
func TestHelperPull(t *testing.T) {
	root, name, ok := strings.Cut(os.Getenv("IMAGE_TEST_PULL"), "|")
	if !ok {
		t.Skip("it is a helper of other tests")
	}
	fmt.Println("begin")
	for {
		s, err := image.Open(root, image.Options{NoSync: true})
		if err != nil {
			fmt.Println(err)
			os.Exit(3)
		}
		img, err := s.Pull(context.Background(), name, image.PullOptions{})
		if err == nil {
			_, err = s.Prepare(context.Background(), "k", img.ID)
		}
		if err == nil {
			err = s.RemoveSnapshot(context.Background(), "k")
		}
		if err == nil {
			err = s.Remove(context.Background(), name)
		}
		if err = errors.Join(err, s.Close()); err != nil {
			fmt.Println(err)
			os.Exit(4)
		}
		if os.Getenv(sys.FailpointEnv) != "" {
			os.Exit(0)
		}
	}
}

func helper(root, name string, env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperPull$")
	cmd.Env = append(append(os.Environ(), "IMAGE_TEST_PULL="+root+"|"+name), env...)
	cmd.Dir = "/"
	return cmd
}

// recovered opens the store after a crash: the image can be pulled and mounted,
// Check finds nothing, and once it is removed nothing is left.
func recovered(t *testing.T, root, name string, img imagetest.Image) {
	t.Helper()
	s, err := image.Open(root, image.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	noOrphans(t, s)
	if bad, err := s.Check(t.Context()); err != nil || len(bad) > 0 {
		t.Fatalf("check after the crash: %v, %v", bad, err)
	}
	got, err := s.Pull(t.Context(), name, image.PullOptions{})
	if err != nil || len(got.ChainIDs) != len(img.Layers) {
		t.Fatalf("pull after the crash: %v", err)
	}
	if err := s.RemoveSnapshot(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"content/blobs", "snapshots"} {
		_ = filepath.WalkDir(filepath.Join(root, dir), func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() || strings.Count(p, "layers/") == 1 {
				t.Errorf("left after all: %s", p)
			}
			return err
		})
	}
}

// noOrphans fails if a store that was just opened, and that nobody else uses,
// holds what a process that is gone was about to make, or content without a name.
// Of blobs there may be the beginnings that a pull goes on with.
func noOrphans(t *testing.T, s *image.Store) {
	t.Helper()
	patterns := []string{"content/ingest/*/[^l]*", "content/ingest/*/lease-*", "snapshots/ingest/*/*", "locks/*", "meta.db.new"}
	list, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		patterns = append(patterns, "content/blobs/*/*", "snapshots/layers/*", "snapshots/keys/*")
	}
	for _, pattern := range patterns {
		left, err := filepath.Glob(filepath.Join(s.Root(), pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range left {
			if filepath.Base(filepath.Dir(p)) != "partial" {
				t.Errorf("an orphan: %s", p)
			}
		}
	}
	for _, p := range partials(t, s) {
		if fi, err := os.Stat(p); err != nil || time.Since(fi.ModTime()) > time.Hour {
			t.Errorf("older than an hour: %s, %v", p, err)
		}
	}
}

func rounds(normal int) int {
	if n, err := strconv.Atoi(os.Getenv("LIFEPOD_KILL_ROUNDS")); err == nil {
		return n
	}
	if testing.Short() {
		return min(5, normal/2)
	}
	return normal
}

// SIGKILL at any moment of a loop of pulls, the first of which the kills before
// it left half done. LIFEPOD_KILL_ROUNDS sets the number of rounds.
func TestKill(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	img := imagetest.Random(1, 4, 200<<10)
	if _, err := reg.Add("a:1", img); err != nil {
		t.Fatal(err)
	}
	name, midway := host+"/a:1", map[string]int{}
	for i := range rounds(50) {
		cmd := helper(s.Root(), name)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil { // it begins
			t.Fatal(err)
		}
		time.Sleep(rand.N(150 * time.Millisecond))
		_ = cmd.Process.Kill()
		if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
			t.Fatalf("round %d: the helper ended with %v", i, err)
		}
		for what, pattern := range map[string]string{
			"lease": "content/ingest/*/lease-*", "blob": "content/ingest/partial/*", "layer": "snapshots/ingest/*/layer-*", "trash": "snapshots/ingest/*/trash-*",
		} {
			if found, _ := filepath.Glob(filepath.Join(s.Root(), pattern)); len(found) > 0 {
				midway[what]++
			}
		}
		recovered(t, s.Root(), name, img)
		if t.Failed() {
			t.Fatalf("in round %d", i)
		}
	}
	t.Logf("the kills left half done, in so many rounds: %v", midway)
}

// SIGKILL before and after every effect of a pull, at its first and second time.
func TestFailpoints(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	img := imagetest.Random(1, 2, 2000)
	if _, err := reg.Add("a:1", img); err != nil {
		t.Fatal(err)
	}
	name, killed := host+"/a:1", 0
	for _, e := range sys.Effects() {
		if !strings.HasPrefix(e, "image/") && e != "sys/rename" {
			continue
		}
		for _, when := range []string{"before", "after"} {
			for n := 1; n <= min(6, rounds(6)); n++ {
				out, err := helper(s.Root(), name, fmt.Sprintf("%s=%s:%s:kill:%d", sys.FailpointEnv, e, when, n)).CombinedOutput()
				if err == nil {
					break // it has no n-th time
				}
				if err.Error() != "signal: killed" {
					t.Fatalf("%s %s %d: %v: %s", e, when, n, err, out)
				}
				killed++
				recovered(t, s.Root(), name, img)
			}
		}
	}
	t.Logf("killed at %d points", killed)
	if killed < 16 {
		t.Errorf("only %d points were reached", killed)
	}
}

// Content that a commit never called synced does not outlive a loss of power.
func TestAfterBoot(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	img := pull(t, s, reg, host, "a:1", imagetest.Random(1, 2, 100))
	stray := filepath.Join(s.Root(), "snapshots/layers", strings.Repeat("0", 64))
	blob := filepath.Join(s.Root(), "content/blobs/sha256", strings.Repeat("0", 64))
	if err := errors.Join(os.Mkdir(stray, 0o755), os.WriteFile(blob, nil, 0o600), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Root(), "boot"), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := image.Open(s.Root(), image.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for _, p := range []string{stray, blob} {
		if _, err := os.Lstat(p); err == nil {
			t.Errorf("%s is still there", p)
		}
	}
	mount(t, s, "k", img, false)
}

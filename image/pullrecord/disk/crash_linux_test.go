package disk

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lifepod/lifepod/image/pullrecord"
	"github.com/lifepod/lifepod/internal/sys"
)

const helperEnv = "PULLRECORD_TEST_DIR"

// TestHelper is the process that dies: a node that pulls. The image is there from
// the moment that the file image is.
func TestHelper(t *testing.T) {
	dir := os.Getenv(helperEnv)
	if dir == "" {
		t.Skip("it is a helper of other tests")
	}
	s, err := Open(dir, Options{})
	if err == nil {
		err = pullOnce(s, dir)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(3)
	}
	os.Exit(0)
}

func pullOnce(s *Store, dir string) error {
	end, err := s.Begin("example/app:1")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "image"), nil, 0o600); err != nil {
		return err
	}
	if os.Getenv("PULLRECORD_TEST_WAIT") != "" {
		fmt.Println("pulling")
		time.Sleep(time.Hour)
	}
	with := &pullrecord.Credentials{Secrets: []pullrecord.Secret{{Name: "s", Hash: "h"}}}
	if err := s.Update("ref", func(old *pullrecord.Record) *pullrecord.Record {
		next, err := pullrecord.Merge(old, "ref", "example/app:1", with, time.Now())
		if err != nil {
			panic(err)
		}
		return next
	}); err != nil {
		return err
	}
	return end()
}

func helper(dir string, env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelper$")
	cmd.Env = append(append(os.Environ(), helperEnv+"="+dir), env...)
	return cmd
}

// A node that dies at any point of a pull leaves an image that is known to be a
// pulled one, and the next pull ends as if nothing had been.
func TestCrashAnywhere(t *testing.T) {
	points := 0
	for _, effect := range []string{"sys/rename", "pullrecord/remove"} {
		for _, when := range []string{"before", "after"} {
			for n := 1; ; n++ {
				dir := t.TempDir()
				out, err := helper(dir, fmt.Sprintf("%s=%s:%s:kill:%d", sys.FailpointEnv, effect, when, n)).CombinedOutput()
				if err == nil {
					break // there is no such point
				}
				points++
				name := fmt.Sprintf("%s %s %d", effect, when, n)
				if strings.TrimSpace(string(out)) != "" {
					t.Fatalf("%s: %s", name, out)
				}
				afterCrash(t, name, dir)
			}
		}
	}
	if points < 6 {
		t.Errorf("only %d points", points)
	}
}

func afterCrash(t *testing.T, name, dir string) {
	t.Helper()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	intended, err := s.Intended("example/app:1")
	r, rerr := s.Get("ref")
	if err != nil || rerr != nil {
		t.Errorf("%s: %v, %v", name, err, rerr)
	}
	if _, err := os.Stat(filepath.Join(dir, "image")); err == nil && !intended && r == nil {
		t.Errorf("%s: nobody knows that the image was pulled", name)
	}
	if left, err := s.Unfinished(); err != nil || intended != (len(left) == 1) {
		t.Errorf("%s: unfinished %q, %v", name, left, err)
	}
	if err := pullOnce(s, dir); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if r, err := s.Get("ref"); err != nil || r == nil || len(r.Credentials["example/app"].Secrets) != 1 {
		t.Errorf("%s: after the next pull %+v, %v", name, r, err)
	}
	if intended, err := s.Intended("example/app:1"); intended || err != nil {
		t.Errorf("%s: after the next pull it is intended: %v, %v", name, intended, err)
	}
}

// What another process pulls is not unfinished, and its intent outlives ours; when
// it is killed, it is unfinished.
func TestAnotherProcessPulls(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	cmd := helper(dir, "PULLRECORD_TEST_WAIT=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "pulling\n" {
		t.Fatalf("%q, %v", line, err)
	}
	left := func(want int) {
		t.Helper()
		if l, err := s.Unfinished(); len(l) != want || err != nil {
			t.Errorf("unfinished %q, %v", l, err)
		}
	}
	left(0)
	end, err := s.Begin("example/app:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.Intended("example/app:1"); !ok || err != nil {
		t.Errorf("the other's intent is gone: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	left(1)
}

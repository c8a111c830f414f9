package sys

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

var effectTest = NewEffect("sys/test")

func TestEffectsAreListed(t *testing.T) {
	if got := Effects(); !slices.Contains(got, "sys/test") || !slices.IsSorted(got) {
		t.Fatalf("Effects() = %v", got)
	}
}

func TestParseFailpoint(t *testing.T) {
	for s, want := range map[string]bool{"": false, "a": false, "a:before:kill": true, "a:after:error:3": true} {
		if got := parseFailpoint(s) != nil; got != want {
			t.Errorf("parseFailpoint(%q) armed = %v, want %v", s, got, want)
		}
	}
	if n := parseFailpoint("a:after:error:3").left.Load(); n != 3 {
		t.Errorf("count = %d, want 3", n)
	}
}

// The helper process is this test binary itself, with a failpoint armed.
func TestFailpoints(t *testing.T) {
	if out := os.Getenv("SYS_TEST_OUT"); out != "" {
		err := effectTest.Do(func() error { return os.WriteFile(out, []byte("done"), 0o600) })
		if errors.Is(err, ErrFailpoint) {
			os.Exit(3)
		}
		os.Exit(0)
	}
	for point, want := range map[string]struct {
		effect bool
		status string
	}{
		"sys/test:before:kill":    {false, "signal: killed"},
		"sys/test:after:kill":     {true, "signal: killed"},
		"sys/test:before:error":   {false, "exit status 3"},
		"sys/test:before:error:2": {true, ""},
		"":                        {true, ""},
	} {
		out := filepath.Join(t.TempDir(), "out")
		cmd := exec.Command(os.Args[0], "-test.run=^TestFailpoints$")
		cmd.Env = append(os.Environ(), "SYS_TEST_OUT="+out, FailpointEnv+"="+point)
		err := cmd.Run()
		if got := ""; err != nil {
			if got = err.Error(); got != want.status {
				t.Errorf("%s: ended with %q, want %q", point, got, want.status)
			}
		} else if want.status != "" {
			t.Errorf("%s: ended well, want %q", point, want.status)
		}
		if _, err := os.Stat(out); (err == nil) != want.effect {
			t.Errorf("%s: effect happened = %v, want %v", point, err == nil, want.effect)
		}
	}
}

// A point with a gate hits one process, once it is open; a trace tells which
// points a process reached.
func TestGateAndTrace(t *testing.T) {
	dir := t.TempDir()
	gate, trace := filepath.Join(dir, "gate"), filepath.Join(dir, "trace")
	run := func(point string) error {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFailpoints$")
		cmd.Env = append(os.Environ(), "SYS_TEST_OUT="+filepath.Join(dir, "out"), FailpointEnv+"="+point)
		return cmd.Run()
	}
	point := "sys/test:before:kill:1:" + gate
	if err := run(point); err != nil {
		t.Errorf("hit behind a closed gate: %v", err)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if run(point) == nil {
		t.Error("not hit although the gate is open")
	}
	if err := run(point); err != nil {
		t.Errorf("hit twice: %v", err)
	}
	if err := run("trace:" + trace); err != nil {
		t.Error(err)
	}
	if b, _ := os.ReadFile(trace); string(b) != "sys/test:before\nsys/test:after\n" {
		t.Errorf("trace %q", b)
	}
}

func TestWriteFileReplacesWhole(t *testing.T) {
	p := filepath.Join(t.TempDir(), "f")
	for _, s := range []string{"one", "a longer two", "3"} {
		if err := WriteFile(p, []byte(s), 0o640, true); err != nil {
			t.Fatal(err)
		}
		b, _ := os.ReadFile(p)
		fi, _ := os.Stat(p)
		if string(b) != s || fi.Mode().Perm() != 0o640 {
			t.Fatalf("got %q mode %v", b, fi.Mode())
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(p), ".tmp-*")); left != nil {
		t.Fatalf("left %v", left)
	}
}

func TestWriteFileFailsInMissingDir(t *testing.T) {
	err := WriteFile(filepath.Join(t.TempDir(), "no", "f"), nil, 0o600, false)
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	programs, flags := split([]string{"./a", "b.test", "-test.v", "-test.run", "X"})
	if !slices.Equal(programs, []string{"./a", "b.test"}) || !slices.Equal(flags, []string{"-test.v", "-test.run", "X"}) {
		t.Error(programs, flags)
	}
	if programs, flags = split(nil); len(programs)+len(flags) != 0 {
		t.Error(programs, flags)
	}
}

// The script that the machine runs, run here with other ports.
func TestTestScript(t *testing.T) {
	if _, err := os.Stat("/proc/uptime"); err != nil {
		t.Skip("the script reads /proc/uptime")
	}
	t.Setenv("LIFEPOD_X", "it's")
	dir := t.TempDir()
	script := testScript("true", []test{{"good", "echo", dir, ""}, {"bad", "false", dir, "X"}}, []string{"-a", "b'c"})
	script = strings.ReplaceAll(script, "/run/vm/", dir+"/") + "echo $LIFEPOD_X; pwd\n"
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "out")); string(b) != "== good\n-a b'c\n== bad -test.run=X\nit's\n"+dir+"\n" {
		t.Errorf("output %q", b)
	}
	err := report(t.Context(), dir, []test{{name: "good"}, {name: "bad"}}, nil, "")
	if !errors.Is(err, errFailed) {
		t.Error(err)
	}
}

// Text is found also across two writes.
func TestFind(t *testing.T) {
	for _, c := range []struct {
		writes []string
		want   bool
	}{{nil, false}, {[]string{"a needle b"}, true}, {[]string{"a nee", "d", "le"}, true}, {[]string{"need", " le"}, false}} {
		f := &find{text: []byte("needle")}
		for _, w := range c.writes {
			if n, err := f.Write([]byte(w)); n != len(w) || err != nil {
				t.Error(n, err)
			}
		}
		if f.found != c.want {
			t.Errorf("%q: %v", c.writes, f.found)
		}
	}
}

// Each program may say which of its tests to run.
func TestCompileChoice(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.test")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests, err := compile(t.Context(), "", []string{file, file + "=TestA|TestB/c=d"})
	if err != nil || len(tests) != 2 || tests[0].run != "" || tests[1].run != "TestA|TestB/c=d" || tests[1].file != file {
		t.Errorf("%+v, %v", tests, err)
	}
}

func TestReport(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []test{{name: "a"}, {name: "b"}}
	for name, c := range map[string]struct {
		status string
		late   bool
		want   string
	}{
		"all passed":  {"0 0 1.5 2.5\n1 0 2.5 3\n", false, ""},
		"one failed":  {"0 1 1.5 2.5\n1 0 2.5 3\n", false, "tests failed"},
		"crashed":     {"0 0 1.5 2.5\n", false, "the machine ended in b:\nlast words"},
		"out of time": {"0 0 1.5 2.5\n", true, "out of time in b:\nlast words"},
		"forged":      {"1 0 1.5 2.5\n", false, "the machine reported"},
		"never began": {"-", false, "the machine did not start"},
	} {
		dir := t.TempDir()
		if c.status != "-" {
			if err := os.WriteFile(filepath.Join(dir, "status"), []byte(c.status), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		ctx := t.Context()
		if c.late {
			ctx = ended
		}
		err := report(ctx, dir, tests, nil, "last words")
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

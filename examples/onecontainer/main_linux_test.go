package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lifepod/lifepod/container/runc"
	"github.com/lifepod/lifepod/internal/testutil"
)

// The program says what became of each of its containers, and leaves nothing but
// its root.
func TestOneContainer(t *testing.T) {
	testutil.RequireRoot(t)
	dir, root := t.TempDir(), t.TempDir()
	for name, cgo := range map[string]string{".": "1", "../pods/demo": "0"} {
		cmd := exec.Command("go", "build", "-o", dir+"/", name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %s", name, msg)
		}
	}
	id := runc.RootID(root)
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{root}, Names: []string{id}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "onecontainer"), "-root", root, "-demo", filepath.Join(dir, "demo")).CombinedOutput()
	if err != nil {
		t.Errorf("it ended with %v", err)
	}
	for _, want := range []string{
		"exit code 0, log:\n  ", " stdout F hello from a container\n",
		"a program that fails: exit code 1, OOM killed: false\n",
		"a program that eats memory: exit code 137, OOM killed: true\n",
		"its agent was killed, the container is running\n",
		"stopped by the next agent: exit code 0\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	run := "/run/lifepod-" + id // the supervisor stays for a while, and goes last
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(run); errors.Is(err, os.ErrNotExist) {
			break
		} else if time.Now().After(end) {
			t.Fatalf("%s is left: %v", run, err)
		}
	}
}

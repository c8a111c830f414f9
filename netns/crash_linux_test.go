package netns

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/internal/sys"
)

// TestCrash kills a process before and after every effect of Create and Remove;
// Remove, called by another, must leave nothing.
func TestCrash(t *testing.T) {
	ids := []IDMap{{Inside: 0, Outside: 300000, Size: 65536}}
	if dir := os.Getenv("NETNS_CRASH"); dir != "" {
		kinds, o := Net|IPC|UTS, Options{Hostname: "h"}
		if strings.HasSuffix(dir, "-user") {
			kinds, o.UIDs, o.GIDs = kinds|User, ids, ids
		}
		if _, err := Create(dir, kinds, o); err != nil {
			t.Fatal(err)
		}
		if err := Remove(dir); err != nil {
			t.Fatal(err)
		}
		return
	}
	base, killed := rooted(t), 0
	for _, effect := range sys.Effects() {
		if !strings.HasPrefix(effect, "netns/") {
			continue
		}
		for _, when := range []string{":before:kill", ":after:kill", ":after:kill:2"} {
			for _, suffix := range []string{"", "-user"} {
				dir := base + suffix
				cmd := exec.Command(os.Args[0], "-test.run=^TestCrash$")
				cmd.Env = append(os.Environ(), "NETNS_CRASH="+dir, sys.FailpointEnv+"="+effect+when)
				out, err := cmd.CombinedOutput()
				if err != nil && err.Error() != "signal: killed" {
					t.Fatalf("%s: %v\n%s", effect+when, err, out)
				}
				if err != nil {
					killed++
				}
				if err := Remove(dir); err != nil {
					t.Errorf("%s%s: %v", effect, when, err)
				}
				if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s%s: %s is still there", effect, when, dir)
				}
			}
		}
	}
	const points = 24
	t.Logf("killed at %d points", killed)
	if killed < points {
		t.Errorf("killed at %d points only, there were %d", killed, points)
	}
}

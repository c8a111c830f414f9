package volume_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/volume"
	"github.com/lifepod/lifepod/volume/volumetest"
)

const crashEnv = "VOLUME_TEST_CRASH"

func crashRequest(dir, content string) volume.Request {
	objects := &volumetest.Objects{}
	objects.SetConfigMap("conf", map[string]string{"a": content})
	objects.SetSecret("cred", map[string][]byte{"a": []byte(content)})
	pod := volumetest.Pod(volumetest.ConfigMap("conf", false), volumetest.Secret("cred", false), volumetest.EmptyDir("scratch", ""), volumetest.EmptyDir("fast", "Memory"))
	group := int64(4242)
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: &group}
	return volume.Request{Pod: pod, Dir: dir, Objects: objects}
}

// life is a pod's whole life: set up, changed, with a subPath, torn down.
func life(ctx context.Context, dir string) error {
	m := volume.New(volume.Options{})
	out, err := m.SetUp(ctx, crashRequest(dir, "one"))
	if err != nil {
		return err
	}
	if _, err := m.Update(ctx, crashRequest(dir, "two")); err != nil {
		return err
	}
	if _, err := m.SubPath(ctx, volume.SubPathRequest{Dir: dir, Volume: out["scratch"], SubPath: "p", Container: "app"}); err != nil {
		return err
	}
	return m.TearDown(ctx, dir)
}

// Killed before and after every effect, at its first and its second time, the
// next agent brings the volumes up, or takes them away, all the same.
func TestKilledAnywhere(t *testing.T) {
	if dir := os.Getenv(crashEnv); dir != "" {
		if err := life(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		return
	}
	root(t)
	points := 0
	for _, effect := range sys.Effects() {
		if !strings.HasPrefix(effect, "volume/") {
			continue
		}
		for _, when := range []string{"before", "after"} {
			for n := 1; n <= 2 && (n == 1 || !testing.Short()); n++ {
				point := fmt.Sprintf("%s:%s:kill:%d", effect, when, n)
				if crash(t, point) {
					points++
				}
			}
		}
	}
	if points < 12 || points < 24 && !testing.Short() {
		t.Errorf("only %d points were reached", points)
	}
	t.Logf("%d crash points", points)
}

func crash(t *testing.T, point string) (reached bool) {
	t.Helper()
	for _, up := range []bool{true, false} {
		dir := filepath.Join(t.TempDir(), "pod")
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledAnywhere$")
		cmd.Env = append(os.Environ(), crashEnv+"="+dir, sys.FailpointEnv+"="+point)
		out, err := cmd.CombinedOutput()
		if err == nil {
			return false // the effect did not happen so often
		}
		if !strings.Contains(err.Error(), "killed") {
			t.Fatalf("%s: %v\n%s", point, err, out)
		}
		m := volume.New(volume.Options{})
		if up {
			got, err := m.SetUp(t.Context(), crashRequest(dir, "three"))
			if err != nil {
				t.Errorf("%s: set up after it: %v", point, err)
				continue
			}
			for _, name := range []string{"conf", "cred"} {
				if files := read(t, got[name].Path); files["a"] != "three" {
					t.Errorf("%s: %s holds %v", point, name, files)
				}
			}
		}
		if err := m.TearDown(t.Context(), dir); err != nil {
			t.Errorf("%s: tear down after it: %v", point, err)
		}
		if left := testutil.Leaks(testutil.Scope{Dirs: []string{dir}}); len(left) > 0 {
			t.Fatalf("%s: left %v", point, left)
		}
		if list, _ := os.ReadDir(dir); len(list) > 0 {
			t.Errorf("%s: left %v", point, list)
		}
	}
	return true
}

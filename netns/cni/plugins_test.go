package cni

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/lifepod/lifepod/internal/testutil"
)

// built builds the plugins that internal/tools names, once, into .cache.
var built = sync.OnceValues(func() (string, error) {
	dir, err := filepath.Abs("../../.cache/cni")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-C", "../../internal/tools", "-o", dir+"/", "tool")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return string(out), err
	}
	return dir, nil
})

// pluginDir is a directory with the reference plugins.
func pluginDir(t testing.TB) string {
	t.Helper()
	testutil.RequireRoot(t)
	testutil.RequirePeer(t, "nft")
	dir, err := built()
	if err != nil {
		if os.Getenv("LIFEPOD_PEER_TESTS") == "1" {
			t.Fatalf("build the CNI plugins: %v\n%s", err, dir)
		}
		t.Skipf("the CNI plugins cannot be built here: %v\n%s", err, dir)
	}
	return dir
}

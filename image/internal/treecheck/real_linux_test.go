package treecheck

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/internal/testutil"
)

// realImages are made of what is at hand: Debian's packages, a layer each, as
// dpkg has them; the same unpacked, with a program's capabilities set, packed by
// GNU tar; Go programs.
func realImages(t *testing.T) map[string]imagetest.Image {
	t.Helper()
	debs := packages(t)
	var each imagetest.Image
	root := t.TempDir()
	for _, deb := range debs {
		each.Layers = append(each.Layers, imagetest.Layer{Tar: output(t, "dpkg-deb", "--fsys-tarfile", deb)})
		output(t, "dpkg-deb", "-x", deb, root)
	}
	output(t, testutil.RequirePeer(t, "setcap"), "cap_net_raw+ep", root+"/bin/ping")
	if err := os.Truncate(root+"/etc/debian_version", 5<<20); err != nil {
		t.Fatal(err)
	}
	rootfs := output(t, "tar", "-C", root, "--format=posix", "--xattrs", "--xattrs-include=*", "--sparse", "-c", ".")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	tool, err := os.ReadFile(filepath.Join(runtime.GOROOT(), "bin", "gofmt")) //nolint:staticcheck // any Go program will do
	if err != nil {
		tool = self[:len(self)/2]
	}
	program := imagetest.Program("/bin/test", self)
	return map[string]imagetest.Image{
		"packages": each,
		"rootfs":   {Layers: []imagetest.Layer{{Tar: rootfs, Compression: imagetest.Zstd}, program}},
		"programs": {Layers: []imagetest.Layer{program, imagetest.Program("/usr/bin/gofmt", tool)}},
	}
}

// packages are what hack/debs has got.
func packages(t *testing.T) []string {
	t.Helper()
	debs, err := filepath.Glob(module + "/.cache/debs/*.deb")
	if err != nil {
		t.Fatal(err)
	}
	if len(debs) < 10 {
		missing(t, errors.New("there are no packages of Debian in .cache/debs: hack/debs gets them"))
	}
	return debs
}

func output(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return out
}

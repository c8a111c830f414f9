package containertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

var testbox = sync.OnceValues(func() ([]byte, error) {
	if pre := os.Getenv("LIFEPOD_TESTBOX"); pre != "" { // where there is no compiler
		return os.ReadFile(pre)
	}
	dir, err := os.MkdirTemp("", "testbox-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "testbox")
	cmd := exec.Command("go", "build", "-trimpath", "-o", file, "github.com/lifepod/lifepod/container/containertest/testbox")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=-buildvcs=false")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// Rootfs fills dir with what an Env's root needs: /testbox, a static program
// that is built by the go command (or the file that LIFEPOD_TESTBOX names),
// /notexec, /garbage, and the directories that are mounted on.
func Rootfs(t testing.TB, dir string) {
	t.Helper()
	program, err := testbox()
	if err != nil {
		t.Fatalf("build testbox: %v", err)
	}
	for _, d := range []string{"proc", "dev", "tmp", "etc", "sys"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range map[string]struct {
		content []byte
		mode    os.FileMode
	}{
		"testbox": {program, 0o755},
		"notexec": {program, 0o644},
		"garbage": {[]byte("this is no program, and no script"), 0o755},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), f.content, f.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), f.mode); err != nil {
			t.Fatal(err)
		}
	}
}

// OCI is a small spec that runs args in rootfs, in the cgroup at path.
func OCI(rootfs, path string, args ...string) *specs.Spec {
	return &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: rootfs},
		Process: &specs.Process{Args: args, Cwd: "/", Env: []string{"PATH=/bin:/"}},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		},
		Linux: &specs.Linux{
			CgroupsPath: path,
			Resources:   &specs.LinuxResources{},
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace},
			},
		},
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/internal/containerd"
)

// registryName is what the images' names begin with where a mirror is set.
const registryName = "bench.lifepod.example"

// peerd measures a containerd that was just started on an empty root. Its clock
// stops when the image is unpacked: mounting is not counted to it.
func peerd(ctx context.Context, dir, host, image string, igzip, synced bool) (f figures, err error) {
	o, err := containerd.Find(*module)
	if err != nil {
		return f, err
	}
	for _, name := range []string{"CONTAINERD_DISABLE_IGZIP", "CONTAINERD_DISABLE_PIGZ"} {
		if err := os.Setenv(name, strconv.FormatBool(!igzip)); err != nil {
			return f, err
		}
	}
	o.Dir, o.State = filepath.Join(dir, "peer"), "/run/peer"
	o.Mirrors = map[string]string{registryName: host}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return f, err
	}
	d, err := containerd.Start(ctx, o)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, d.Close(), os.RemoveAll(o.State)) }()
	before, err := cpuOf(d.Pid())
	if err != nil {
		return f, err
	}
	if f.Idle, err = memory(d.Pid(), "VmRSS"); err != nil {
		return f, err
	}
	began := time.Now()
	if _, err = d.Images.PullImage(ctx, &runtimeapi.ImageSpec{Image: registryName + "/" + image}, nil, nil); err != nil {
		return f, fmt.Errorf("%w; it said:\n%s", err, d.Log())
	}
	if synced {
		if err := syncFS(filepath.Join(o.Dir, "root", "io.containerd.snapshotter.v1.overlayfs")); err != nil {
			return f, err
		}
	}
	f.Wall = time.Since(began)
	after, err := cpuOf(d.Pid())
	f.CPU = after - before
	if err == nil {
		f.Peak, err = memory(d.Pid(), "VmHWM")
	}
	return f, err
}

func syncFS(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}

// cpuOf is what a process and its children that have ended have used.
func cpuOf(pid int) (time.Duration, error) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 everywhere
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	var ticks int64
	for _, field := range strings.Fields(rest)[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// podman measures podman with an empty storage, pull and mount.
func podman(ctx context.Context, dir, host, image string) (f figures, err error) {
	root := []string{"--root", filepath.Join(dir, "podman"), "--runroot", "/run/podman", "--storage-driver", "overlay"}
	name := host + "/" + image
	began := time.Now()
	for _, args := range [][]string{{"pull", "-q", "--tls-verify=false", name}, {"image", "mount", name}} {
		cmd := exec.CommandContext(ctx, "podman", append(root, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return f, fmt.Errorf("podman %s: %w: %s", args[0], err, out)
		}
		f.CPU += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			f.Peak = max(f.Peak, u.Maxrss<<10)
		}
	}
	f.Wall = time.Since(began)
	cmd := exec.CommandContext(ctx, "podman", append(root, "image", "umount", "-a")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return f, fmt.Errorf("podman image umount: %w: %s", err, out)
	}
	return f, unmountBelow(filepath.Join(dir, "podman"))
}

// unmountBelow takes away podman's mount of its own root.
func unmountBelow(dir string) error {
	err := unix.Unmount(filepath.Join(dir, "overlay"), unix.MNT_DETACH)
	if errors.Is(err, unix.EINVAL) { // not mounted
		return nil
	}
	return err
}

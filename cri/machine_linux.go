package cri

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lifepod/lifepod/cri/ocispec"
	"github.com/lifepod/lifepod/internal/sys"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

var (
	effectMountShm = sys.NewEffect("cri/mount-shm")
	effectUnmount  = sys.NewEffect("cri/unmount")
)

// here is this machine.
type here struct{}

func (here) bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

func (here) mountShm(dir string) error {
	return effectMountShm.Do(func() error {
		err := unix.Mount("shm", dir, "tmpfs", unix.MS_NOEXEC|unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("mode=1777,size=%d", shmSize))
		if err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
		return nil
	})
}

func (here) unmount(dir string) error {
	return effectUnmount.Do(func() error {
		for {
			err := unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
			if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("unmount %s: %w", dir, err)
			}
		}
	})
}

// source makes the path if it is missing, as containerd does: the pod's volumes
// are there before the container, so this is for mounts by hand.
func (here) source(m *runtimeapi.Mount) (string, error) {
	src := m.GetHostPath()
	if !filepath.IsAbs(src) {
		return "", fmt.Errorf("%q is no absolute path", src)
	}
	if _, err := os.Stat(src); errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(src, 0o755); err != nil {
			return "", err
		}
	}
	src, err := filepath.EvalSymlinks(src)
	if err != nil || m.GetPropagation() == runtimeapi.MountPropagation_PROPAGATION_PRIVATE {
		return src, err
	}
	return src, propagates(src, m.GetPropagation() == runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL)
}

// propagates says whether mounts below path can reach a container, and with
// both, come back from it.
func propagates(path string, both bool) error {
	infos, err := mountinfo.GetMounts(mountinfo.ParentsFilter(path))
	if err != nil {
		return err
	}
	var at *mountinfo.Info
	for _, i := range infos { // the deepest, and of those the last
		if at == nil || len(i.Mountpoint) >= len(at.Mountpoint) {
			at = i
		}
	}
	if at == nil {
		return fmt.Errorf("path %q is on no mount", path)
	}
	for _, o := range strings.Fields(at.Optional) {
		if strings.HasPrefix(o, "shared:") || !both && strings.HasPrefix(o, "master:") {
			return nil
		}
	}
	if both {
		return fmt.Errorf("path %q is mounted on %q but it is not a shared mount", path, at.Mountpoint)
	}
	return fmt.Errorf("path %q is mounted on %q but it is not a shared or slave mount", path, at.Mountpoint)
}

func (here) facts() (ocispec.Host, error) {
	h := ocispec.Host{CgroupV2: cgroup2()}
	var err error
	if h.Hostname, err = os.Hostname(); err != nil {
		return h, err
	}
	if h.Capabilities, err = held(); err != nil {
		return h, err
	}
	if h.MinOOMScoreAdj, h.MaxOpenFiles, err = limits(h.Capabilities); err != nil {
		return h, err
	}
	h.SwapLimit, h.HugeTLB = controllers(h.CgroupV2)
	h.RecursiveReadOnly = haveMountSetattr()
	_, err = os.Stat("/sys/fs/selinux/enforce")
	h.SELinux = err == nil
	return h, nil
}

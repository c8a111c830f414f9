package cri

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lifepod/lifepod/cri/ocispec"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

var errNoDevice = errors.New("not a device node")

func (here) devices(d *runtimeapi.Device) ([]ocispec.Device, error) {
	path, err := filepath.EvalSymlinks(d.GetHostPath())
	if err != nil {
		return nil, err
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	to := d.GetContainerPath()
	if to == "" {
		to = d.GetHostPath()
	}
	var found []specs.LinuxDevice
	if fi.IsDir() {
		found, err = below(path, to)
	} else {
		found = make([]specs.LinuxDevice, 1)
		found[0], err = node(path, to)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.GetHostPath(), err)
	}
	var out []ocispec.Device
	for _, n := range found {
		out = append(out, ocispec.Device{LinuxDevice: n, Access: d.GetPermissions()})
	}
	return out, nil
}

func (here) hostDevices() ([]specs.LinuxDevice, error) { return below("/dev", "/dev") }

// notHost are directories of /dev that every container has its own of.
var notHost = map[string]bool{"pts": true, "shm": true, "fd": true, "mqueue": true, ".lxc": true, ".lxd-mounts": true, ".udev": true}

// below finds the nodes in dir. What vanishes meanwhile is left out.
func below(dir, to string) ([]specs.LinuxDevice, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []specs.LinuxDevice
	for _, e := range entries {
		from, dst := filepath.Join(dir, e.Name()), filepath.Join(to, e.Name())
		if e.IsDir() {
			if notHost[e.Name()] {
				continue
			}
			more, err := below(from, dst)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
			continue
		}
		n, err := node(from, dst)
		if errors.Is(err, errNoDevice) || errors.Is(err, os.ErrNotExist) || e.Name() == "console" || err == nil && n.Type == "p" {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

func node(path, to string) (specs.LinuxDevice, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return specs.LinuxDevice{}, &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	kind := map[uint32]string{unix.S_IFBLK: "b", unix.S_IFCHR: "c", unix.S_IFIFO: "p"}[st.Mode&unix.S_IFMT]
	if kind == "" {
		return specs.LinuxDevice{}, fmt.Errorf("%s: %w", path, errNoDevice)
	}
	mode, uid, gid := os.FileMode(st.Mode&0o7777), st.Uid, st.Gid
	dev := uint64(st.Rdev) //nolint:unconvert // 32 bits on some platforms
	return specs.LinuxDevice{Type: kind, Path: to, Major: int64(unix.Major(dev)), Minor: int64(unix.Minor(dev)), FileMode: &mode, UID: &uid, GID: &gid}, nil
}

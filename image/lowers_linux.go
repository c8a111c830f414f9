package image

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// maxParameter is how long a parameter of the mount API may be.
const maxParameter = 255

// shortNames are names by descriptors for directories whose paths are too long.
type shortNames []int

// of returns a short name of dir, which works until close.
func (n *shortNames) of(dir string) (string, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("layer %s: %w", dir, err)
	}
	*n = append(*n, fd)
	return fmt.Sprintf("/proc/self/fd/%d", fd), nil
}

func (n *shortNames) close() {
	for _, fd := range *n {
		_ = unix.Close(fd)
	}
}

// oneByOne is what the kernel said about lowerdir+: 0 nothing yet, 1 yes, 2 no.
var oneByOne atomic.Int32

// takesOneByOne says whether overlayfs takes any number of lower directories, one
// by one, or all of them in one page of options. Where the kernel does not say,
// it is taken to be a new one.
func takesOneByOne() bool {
	if oneByOne.Load() == 0 {
		fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
		if err != nil {
			return true
		}
		defer unix.Close(fd)
		switch err := unix.FsconfigSetString(fd, "lowerdir+", "/"); {
		case err == nil:
			oneByOne.Store(1)
		case errors.Is(err, unix.EINVAL):
			oneByOne.Store(2)
		}
	}
	return oneByOne.Load() != 2
}

// pageOfOptions is what mount(2) takes of options, with the zero at their end.
const pageOfOptions = 4096

// inOnePage mounts an overlayfs the old way, over its highest lower directory,
// and returns a mount of it that is not attached anywhere. The caller is in a
// mount namespace of its own.
func inOnePage(m Mount) (mnt int, err error) {
	var names shortNames
	defer names.close()
	flags, data, top, err := oldOptions(m, nil)
	if err == nil && len(data) >= pageOfOptions {
		flags, data, top, err = oldOptions(m, &names)
	}
	if err != nil {
		return -1, err
	}
	if len(data) >= pageOfOptions {
		return -1, fmt.Errorf("%d layers do not fit into the page of options that Linux %s takes: a newer kernel takes any number, and so do copies (the snapshotter image.Copy): %w",
			len(names), release(), unix.E2BIG)
	}
	if err := unix.Mount(m.Source, top, m.Type, flags, data); err != nil {
		return -1, err
	}
	return unix.OpenTree(unix.AT_FDCWD, top, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
}

// oldOptions writes options for mount(2), with short names for the directories if
// names is set. top is the highest lower directory.
func oldOptions(m Mount, names *shortNames) (flags uintptr, data, top string, err error) {
	var all []string
	for _, o := range m.Options {
		key, value, _ := strings.Cut(o, "=")
		switch {
		case o == "ro":
			flags |= unix.MS_RDONLY
			continue
		case o == "rw":
			continue
		case key == "lowerdir":
			top = splitLowers(value)[0]
		}
		if names != nil && isLayers(key) {
			if o, err = shortened(key, value, names); err != nil {
				return 0, "", "", err
			}
		}
		all = append(all, o)
	}
	return flags, strings.Join(all, ","), top, nil
}

func shortened(key, value string, names *shortNames) (string, error) {
	var short []string
	for _, dir := range splitLowers(value) {
		name, err := names.of(dir)
		if err != nil {
			return "", err
		}
		short = append(short, name)
	}
	return key + "=" + strings.Join(short, ":"), nil
}

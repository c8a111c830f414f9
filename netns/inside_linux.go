package netns

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// inside finishes new namespaces. It runs on a thread that is in them.
func inside(kinds Kinds, o Options) error {
	return effectInside.Do(func() error {
		if kinds&Net != 0 {
			if err := loopbackUp(); err != nil {
				return err
			}
		}
		if o.Hostname != "" {
			if err := unix.Sethostname([]byte(o.Hostname)); err != nil {
				return fmt.Errorf("set hostname %q: %w", o.Hostname, err)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(o.Sysctls)) {
			set := func() error { return setSysctl(name, o.Sysctls[name], kinds) }
			var err error
			if kinds&User != 0 && sysctlParts(name)[0] != "net" {
				err = asRootOf(o.UIDs, set)
			} else {
				err = set()
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func setSysctl(name, value string, kinds Kinds) error {
	path, err := sysctlFile(name, kinds)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0) // never created: a typo must fail
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("sysctl %q: this kernel does not have it in a namespace", name)
	}
	if err != nil {
		return fmt.Errorf("sysctl %q: %w", name, err)
	}
	_, err = f.WriteString(value)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("set sysctl %q to %q: %w", name, value, err)
	}
	return nil
}

// LoopbackUp brings lo up in the network namespace at path. [Create] has done so
// for its own.
func LoopbackUp(path string) error { return Do(path, loopbackUp) }

// loopbackUp raises lo in the thread's namespace by ioctl, which spares this
// package a netlink library.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket to bring lo up: %w", err)
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r); err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	return nil
}

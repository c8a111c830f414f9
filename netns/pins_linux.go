package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lifepod/lifepod/internal/sys"
	"golang.org/x/sys/unix"
)

var (
	effectUnshare = sys.NewEffect("netns/unshare")
	effectPin     = sys.NewEffect("netns/pin")
	effectInside  = sys.NewEffect("netns/inside")
	effectUnpin   = sys.NewEffect("netns/unpin")
	effectRmdir   = sys.NewEffect("netns/rmdir")
)

var flags = map[Kinds]int{Net: unix.CLONE_NEWNET, IPC: unix.CLONE_NEWIPC, UTS: unix.CLONE_NEWUTS, User: unix.CLONE_NEWUSER}

// Create makes new namespaces of the given kinds, brings loopback up, sets
// hostname and sysctls inside, and pins each by a bind mount on a file in dir,
// which is made with mode 0700 if it does not exist. They stay until [Remove].
// With User, the other namespaces belong to the new user namespace. dir must
// hold no pins. After an error nothing is left of it, except when the process
// was killed: Remove then cleans up. Safe for concurrent use with different dirs.
func Create(dir string, kinds Kinds, o Options) (Pins, error) {
	if err := o.check(kinds); err != nil {
		return Pins{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Pins{}, err
	}
	pins := Paths(dir, kinds)
	if err := touch(pins, kinds); err != nil {
		return Pins{}, err
	}
	make := unshared
	if kinds&User != 0 {
		make = cloned
	}
	if err := make(pins, kinds, o); err != nil {
		return Pins{}, errors.Join(fmt.Errorf("create namespaces in %s: %w", dir, err), Remove(dir))
	}
	return pins, nil
}

// touch makes the files that are mounted on. One that exists is refused: it may
// pin a namespace that someone uses.
func touch(p Pins, kinds Kinds) error {
	var done []string
	for _, f := range files {
		if kinds&f.kind == 0 {
			continue
		}
		path := *p.of(f.kind)
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o400)
		if err != nil {
			for _, d := range done {
				os.Remove(d)
			}
			return fmt.Errorf("pin a namespace: %w", err)
		}
		file.Close()
		done = append(done, path)
	}
	return nil
}

// unshared makes the namespaces on a thread of its own that ends with them.
func unshared(p Pins, kinds Kinds, o Options) error {
	mask := 0
	for k, f := range flags {
		if kinds&k != 0 {
			mask |= f
		}
	}
	return sys.OnOwnThread(func() error {
		if err := effectUnshare.Do(func() error { return os.NewSyscallError("unshare", unix.Unshare(mask)) }); err != nil {
			return err
		}
		if err := inside(kinds, o); err != nil {
			return err
		}
		return pin(p, kinds, "/proc/thread-self/ns/")
	})
}

func pin(p Pins, kinds Kinds, from string) error {
	for _, f := range files {
		if kinds&f.kind == 0 {
			continue
		}
		to := *p.of(f.kind)
		err := effectPin.Do(func() error { return unix.Mount(from+f.name, to, "", unix.MS_BIND, "") })
		if err != nil {
			return fmt.Errorf("pin the %s namespace on %s: %w", f.name, to, err)
		}
	}
	return nil
}

// Load says which namespaces are pinned under dir; none if it does not exist.
func Load(dir string) (Pins, error) {
	if ok, err := made(dir); !ok {
		return Pins{}, err
	}
	var p Pins
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		err := valid(path, flags[f.kind])
		if err == nil {
			*p.of(f.kind) = path
		} else if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, ErrNotNamespace) {
			return Pins{}, err
		}
	}
	return p, nil
}

// Remove unpins all namespaces under dir and removes dir if nothing else is in
// it. It may be called again, after a crash, and for a dir that never was. The
// kernel ends a namespace when the last process and the last pin are gone.
func Remove(dir string) error {
	if ok, err := made(dir); !ok {
		return err
	}
	for _, f := range files {
		if err := unpin(filepath.Join(dir, f.name)); err != nil {
			return err
		}
	}
	err := effectRmdir.Do(func() error { return unix.Rmdir(dir) })
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EBUSY) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	return nil
}

func unpin(path string) error {
	return effectUnpin.Do(func() error {
		for { // a pin may be mounted more than once after a crash between two lives
			err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
			if errors.Is(err, unix.ENOENT) {
				return nil
			}
			if errors.Is(err, unix.EINVAL) { // not a mount: any more, or never
				break
			}
			if err != nil {
				return fmt.Errorf("unpin %s: %w", path, err)
			}
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove the pin: %w", err)
		}
		return nil
	})
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// disk is a file that is made a new filesystem for every pull. What was removed
// from a filesystem before, and what else is on it, may slow down what is
// written to it next.
type disk struct{ file, dir string }

// diskSize is enough for an image unpacked, its blobs, and what podman copies.
func diskSize() int64 { return 6<<30 + *mib*6_000_000 }

func newDisk() (*disk, error) {
	dir, err := os.MkdirTemp("", "lpi")
	if err != nil {
		return nil, err
	}
	d := &disk{filepath.Join(dir, "disk"), filepath.Join(dir, "m")}
	err = os.Mkdir(d.dir, 0o755)
	if err == nil {
		err = os.WriteFile(d.file, nil, 0o600)
	}
	if err == nil {
		err = os.Truncate(d.file, diskSize())
	}
	if err != nil {
		return nil, errors.Join(err, d.remove())
	}
	return d, nil
}

func (d *disk) remove() error { return os.RemoveAll(filepath.Dir(d.file)) }

// format makes an empty ext4, with all that ext4 would otherwise do later by
// itself done, and mounts it.
func (d *disk) format(ctx context.Context) error {
	for _, args := range [][]string{
		{"mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", d.file},
		{"mount", "-o", "loop", d.file, d.dir}, // the loop device goes with its mount
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%q: %w: %s", args, err, out)
		}
	}
	unix.Sync()
	return nil
}

func (d *disk) unmount() error {
	if err := unix.Unmount(d.dir, 0); err != nil {
		return fmt.Errorf("unmount %s: %w", d.dir, err)
	}
	return nil
}

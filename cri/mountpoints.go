package cri

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// mountPoints are the places of mounts that every container has, directories with
// a slash. Where an image has no such place it would be made in the container's
// own layer, and deleted with it: seven files, each of which costs more than its
// mount.
var mountPoints = []string{"/", "dev/", "proc/", "sys/", "etc/", "etc/hostname", "etc/hosts", "etc/resolv.conf"}

// makeMountPoints makes in dir what is not there yet; with the last one all are.
// Other processes may do the same.
func makeMountPoints(dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, mountPoints[len(mountPoints)-1])); err == nil {
		return nil
	}
	for _, p := range mountPoints {
		at, mode := filepath.Join(dir, p), fs.FileMode(0o644)
		var err error
		if strings.HasSuffix(p, "/") {
			mode = 0o755
			err = os.Mkdir(at, mode)
		} else {
			err = makeFile(at)
		}
		if err == nil {
			err = os.Chmod(at, mode) // whatever the umask
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

func makeFile(at string) error {
	f, err := os.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

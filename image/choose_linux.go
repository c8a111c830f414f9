package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// mayTrust says whether this process may do to files in dir what root may: set
// trusted attributes and give files away. Nil is yes, ErrUnsupported no.
func mayTrust(dir string) error {
	err := unix.Lsetxattr(dir, "trusted.overlay.probe", []byte("y"), 0)
	if err == nil {
		err = os.Lchown(dir, 1, 1)
	}
	return answer("privileged files", err)
}

// mayOverlay says whether overlayfs can be mounted in dir by mounting it where
// nobody sees it. Nil is yes, ErrUnsupported no.
func mayOverlay(dir string, o Overlay) error {
	var layers []string
	for _, d := range []string{"low", "high", "fs", "work"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
		layers = append(layers, filepath.Join(dir, d))
	}
	fd, err := newFilesystem(o.Mounts(dir, layers[:2], false)[0])
	if err == nil {
		err = unix.Close(fd)
	}
	return answer(o.String(), err)
}

// answer makes an ErrUnsupported of the errors by which the kernel says no. All
// others do not say anything about what it can do.
func answer(what string, err error) error {
	for _, no := range []error{unix.EPERM, unix.EACCES, unix.ENODEV, unix.ENOSYS, unix.EINVAL, unix.ENOTSUP} {
		if errors.Is(err, no) {
			return fmt.Errorf("%s: %w: %w", what, err, errors.ErrUnsupported)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: cannot tell: %w", what, err)
	}
	return nil
}

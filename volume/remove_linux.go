package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/internal/sys"
)

var effectRemove = sys.NewEffect("volume/remove")

// errMounted is met when something is mounted inside what is to be removed.
var errMounted = errors.New("it is still mounted")

// depthMax bounds the descriptors and the stack of a removal; what lies deeper
// is moved up first. A container may have made a tree of any depth.
const depthMax = 64

// removeTree removes path and all below it. It follows no link and enters no
// mount: where something is mounted it stops with errMounted. An absent path is
// fine.
func removeTree(path string) error {
	return effectRemove.Do(func() error {
		top, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		if err != nil {
			return &os.PathError{Op: "open", Path: filepath.Dir(path), Err: err}
		}
		defer unix.Close(top)
		r := remover{top: top, todo: []string{filepath.Base(path)}}
		for len(r.todo) > 0 {
			name := r.todo[0]
			r.todo = r.todo[1:]
			if err := r.remove(top, name, 0); err != nil {
				return fmt.Errorf("remove %s: %w", path, err)
			}
		}
		return nil
	})
}

type remover struct {
	top   int      // the directory that holds the tree
	todo  []string // names in top
	moved int
}

func (r *remover) remove(dir int, name string, depth int) error {
	err := unix.Unlinkat(dir, name, 0)
	switch {
	case err == nil, errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%s: %w", name, errMounted)
	case !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM):
		return fmt.Errorf("%s: %w", name, err)
	}
	if done, err := rmdir(dir, name); done || err != nil {
		return err
	}
	if depth == depthMax {
		r.moved++
		up := fmt.Sprintf(".removing-%d", r.moved)
		r.todo = append(r.todo, up)
		return unix.Renameat(dir, name, r.top, up)
	}
	if err := r.empty(dir, name, depth); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if done, err := rmdir(dir, name); done || err != nil {
		return err
	}
	return fmt.Errorf("%s: something is still written to it", name)
}

// rmdir removes an empty directory; done is false for one that is not empty.
func rmdir(dir int, name string) (done bool, err error) {
	switch err := unix.Unlinkat(dir, name, unix.AT_REMOVEDIR); {
	case err == nil, errors.Is(err, unix.ENOENT):
		return true, nil
	case errors.Is(err, unix.ENOTEMPTY), errors.Is(err, unix.EEXIST):
		return false, nil
	case errors.Is(err, unix.EBUSY):
		return false, fmt.Errorf("%s: %w", name, errMounted)
	default:
		return false, fmt.Errorf("%s: %w", name, err)
	}
}

// empty removes what is in the directory name of dir.
func (r *remover) empty(dir int, name string, depth int) error {
	fd, err := unix.Openat2(dir, name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_BENEATH,
	})
	if errors.Is(err, unix.EXDEV) {
		return errMounted
	}
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	for {
		names, _ := f.Readdirnames(1024)
		if len(names) == 0 {
			return nil
		}
		for _, n := range names {
			if err := r.remove(fd, n, depth+1); err != nil {
				return err
			}
		}
		// Names shift while they go: begin again.
		if _, err := f.Seek(0, 0); err != nil {
			return err
		}
	}
}

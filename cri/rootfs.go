package cri

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/lifepod/lifepod/cri/ocispec"
	"github.com/lifepod/lifepod/image"
)

// user decides on the container's user with the image's own files.
func (r *Runtime) user(root string, c *ctr, img image.Image) (ocispec.User, error) {
	fsys, err := os.OpenRoot(root)
	if err != nil {
		return ocispec.User{}, err
	}
	defer fsys.Close()
	return ocispec.ResolveUser(scoped{fsys}, c.Config, img.Config.Config)
}

// scoped opens regular files of a root filesystem. Symbolic links, absolute ones
// too, lead to where they would lead inside.
type scoped struct{ root *os.Root }

// Open implements fs.FS.
func (s scoped) Open(name string) (fs.File, error) {
	at, err := s.resolve(name)
	if err != nil {
		return nil, err
	}
	// A FIFO must not block, and a device must not be asked anything.
	f, err := s.root.OpenFile(at, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// maxLinks is how many symbolic links the kernel follows.
const maxLinks = 40

// resolve follows the links of name, a slash-separated path, and returns what
// the root can be asked for. Parts that do not exist are kept.
func (s scoped) resolve(name string) (string, error) {
	todo := strings.Split(path.Clean("/"+name), "/")
	at, links := ".", 0
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		fi, err := s.root.Lstat(next)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if err != nil || fi.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "open", Path: name, Err: errors.New("too many symbolic links")}
		}
		to, err := s.root.Readlink(next)
		if err != nil {
			return "", err
		}
		if path.IsAbs(to) {
			at = "."
		}
		todo = append(strings.Split(to, "/"), todo...)
	}
	return at, nil
}

// volumes makes the image's anonymous volumes, each with what the image has at
// its place. They lie on disk, and go with the container.
func (r *Runtime) volumes(c *ctr, img image.Image, root string) ([]ocispec.Volume, error) {
	var out []ocispec.Volume
	paths := ocispec.ImageVolumes(c.Config, img.Config.Config)
	if len(paths) == 0 {
		return nil, nil
	}
	fsys, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer fsys.Close()
	if err := os.Mkdir(r.volumesDir(c.ID), 0o711); err != nil {
		return nil, err
	}
	for i, p := range paths {
		dir := filepath.Join(r.volumesDir(c.ID), strconv.Itoa(i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
		if err := copyUp(fsys, p, dir); err != nil {
			return nil, wrap(err, "fill the image's volume %s", p)
		}
		out = append(out, ocispec.Volume{HostPath: dir, ContainerPath: p})
	}
	return out, nil
}

// copyUp copies what the image has at name, if that is a directory, to dir.
func copyUp(root *os.Root, name, dir string) error {
	at, err := scoped{root}.resolve(name)
	if err != nil {
		return err
	}
	fi, err := root.Stat(at)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	from, err := root.OpenRoot(at)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer to.Close()
	return copyTree(from, to, ".")
}

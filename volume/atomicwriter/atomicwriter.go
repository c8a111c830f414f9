// Package atomicwriter publishes a set of files in a directory all at once, in
// Kubernetes' layout: the files lie in a directory named by the time, the link
// ..data leads to it, and each visible name is a link through ..data. One rename
// switches from the old content to the new, and a watcher sees just that.
package atomicwriter

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/lifepod/lifepod/internal/sys"
)

const (
	dataLink = "..data"
	tempLink = "..data_tmp"
	stamp    = "..2006_01_02_15_04_05"

	maxName = 255
	maxPath = 4096
)

var (
	effectRename = sys.NewEffect("volume/rename-data")
	effectMkdir  = sys.NewEffect("volume/mkdir-data")
)

// File is one file to publish.
type File struct {
	Data []byte
	// Mode are the permission bits, whatever the umask.
	Mode uint32
	// User owns the file; nil leaves it to the process's user.
	User *int64
}

// Write makes dir hold exactly files, whose keys are relative slash paths, and
// says whether it published anything: equal content is left alone, with its
// time. own, when it is not nil, is called before the switch to set owners and
// modes of everything in dir.
//
// An error before the switch leaves the published content as it was and nothing
// half-made. A call after a crash at any point repairs what that left. Write is
// not safe for concurrent use on one dir.
func Write(dir string, files map[string]File, own func() error) (changed bool, err error) {
	clean, err := validate(files)
	if err != nil {
		return false, err
	}
	old, err := current(dir)
	if err != nil {
		return false, err
	}
	if err := sweep(dir, old); err != nil {
		return false, err
	}
	stale, differ, err := compare(dir, old, clean)
	if err != nil {
		return false, err
	}
	if differ {
		if err := publish(dir, clean, own); err != nil {
			return false, err
		}
	}
	if err := link(dir, clean); err != nil {
		return differ, err
	}
	for _, name := range stale {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return differ, err
		}
	}
	if differ && old != "" {
		return true, os.RemoveAll(filepath.Join(dir, old))
	}
	return differ, nil
}

// current is the name of the directory that is published, "" for none. A link
// that leads anywhere else is not ours and is replaced, not followed.
func current(dir string) (string, error) {
	name, err := os.Readlink(filepath.Join(dir, dataLink))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !isStamped(name) {
		return "", nil
	}
	return name, err
}

// isStamped says whether name is one that publish gave to a directory.
func isStamped(name string) bool {
	at := strings.LastIndexByte(name, '.')
	if at < 0 || strings.Contains(name, "/") {
		return false
	}
	_, err := time.Parse(stamp, name[:at])
	return err == nil
}

// validate returns files under their clean paths.
func validate(files map[string]File) (map[string]File, error) {
	clean := make(map[string]File, len(files))
	for p, f := range files {
		if err := validatePath(p); err != nil {
			return nil, err
		}
		clean[filepath.Clean(p)] = f
	}
	return clean, nil
}

func validatePath(p string) error {
	switch {
	case p == "":
		return fmt.Errorf("invalid path: must not be empty: %q", p)
	case strings.HasPrefix(p, "/"):
		return fmt.Errorf("invalid path: must be relative path: %s", p)
	case len(p) > maxPath:
		return fmt.Errorf("invalid path: must be less than or equal to %d characters", maxPath)
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == ".." {
			return fmt.Errorf("invalid path: must not contain '..': %s", p)
		}
		if len(part) > maxName {
			return fmt.Errorf("invalid path: filenames must be less than or equal to %d characters", maxName)
		}
	}
	if strings.HasPrefix(p, "..") {
		return fmt.Errorf("invalid path: must not start with '..': %s", p)
	}
	return nil
}

// compare says whether the content in dir/old is other than files, and which
// visible names go away.
func compare(dir, old string, files map[string]File) (stale []string, differ bool, err error) {
	if old == "" {
		return nil, true, nil
	}
	wanted := map[string]bool{}
	for p, f := range files {
		for part := p; part != "."; part = filepath.Dir(part) {
			wanted[part] = true
		}
		same, err := holds(filepath.Join(dir, old, p), f.Data)
		if err != nil {
			return nil, false, err
		}
		differ = differ || !same
	}
	root := filepath.Join(dir, old)
	err = filepath.WalkDir(root, func(p string, _ fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		rel, _ := filepath.Rel(root, p) // both lie in dir
		if wanted[rel] {
			return nil
		}
		differ = true
		if !strings.Contains(rel, string(filepath.Separator)) {
			stale = append(stale, rel)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil // ..data led nowhere
	}
	return stale, differ, err
}

func holds(path string, data []byte) (bool, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || err == nil && !info.Mode().IsRegular() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	have, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	return bytes.Equal(have, data), nil
}

// publish writes files into a new directory and switches ..data to it.
func publish(dir string, files map[string]File, own func() error) (err error) {
	var fresh string
	err = effectMkdir.Do(func() (err error) {
		fresh, err = os.MkdirTemp(dir, time.Now().UTC().Format(stamp+"."))
		return err
	})
	defer func() {
		if err == nil || fresh == "" {
			return
		}
		if now, _ := current(dir); now != filepath.Base(fresh) {
			err = errors.Join(err, os.RemoveAll(fresh))
		}
	}()
	if err != nil {
		return err
	}
	if err := os.Chmod(fresh, 0o755); err != nil {
		return err
	}
	for p, f := range files {
		if err := writeFile(filepath.Join(fresh, p), f); err != nil {
			return err
		}
	}
	if own != nil {
		if err := own(); err != nil {
			return err
		}
	}
	temp := filepath.Join(dir, tempLink)
	if err := os.Symlink(filepath.Base(fresh), temp); err != nil {
		return err
	}
	if err := effectRename.Do(func() error { return os.Rename(temp, filepath.Join(dir, dataLink)) }); err != nil {
		_ = os.Remove(temp) // swept by the next Write otherwise
		return err
	}
	return nil
}

func writeFile(path string, f File) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	mode := fs.FileMode(f.Mode)
	if err := os.WriteFile(path, f.Data, mode); err != nil {
		return err
	}
	if err := os.Chmod(path, mode); err != nil {
		return err
	}
	if f.User != nil {
		return os.Lchown(path, int(*f.User), -1)
	}
	return nil
}

// link makes the visible names that are missing.
func link(dir string, files map[string]File) error {
	for p, f := range files {
		name, _, _ := strings.Cut(p, string(filepath.Separator))
		visible := filepath.Join(dir, name)
		if _, err := os.Readlink(visible); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.Symlink(filepath.Join(dataLink, name), visible); err != nil {
			return err
		}
		if f.User != nil {
			if err := os.Lchown(visible, int(*f.User), -1); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweep removes what a crash left: a link that was not renamed, directories of
// content that is not published.
func sweep(dir, current string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		name := e.Name()
		if name == current || name != tempLink && !isStamped(name) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// hostPath is a file or directory of the node.
type hostPath struct{}

var _ Plugin = hostPath{}

func (hostPath) Name() string { return "kubernetes.io/host-path" }

func (hostPath) Supports(v *corev1.Volume) bool { return v.HostPath != nil }

func (hostPath) SetUp(_ context.Context, m Mount) (Mounted, error) {
	path := m.Volume.HostPath.Path
	if slices.Contains(strings.Split(path, "/"), "..") {
		return Mounted{}, fmt.Errorf("invalid HostPath `%s`: must not contain '..'", path)
	}
	if err := keepOff(path, m.Node.Protected); err != nil {
		return Mounted{}, err
	}
	if t := m.Volume.HostPath.Type; t != nil && *t != corev1.HostPathUnset {
		if err := checkType(path, *t); err != nil {
			return Mounted{}, err
		}
	}
	return Mounted{Name: m.Volume.Name, Path: path}, nil
}

// TearDown has nothing to take away: the path is the node's.
func (hostPath) TearDown(context.Context, string) error { return nil }

// keepOff refuses a path that contains one of dirs or lies in one, also by way
// of symbolic links.
func keepOff(path string, dirs []string) error {
	real := resolve(path)
	for _, d := range dirs {
		own := resolve(d)
		if within(own, real) || within(real, own) {
			return fmt.Errorf("hostPath %s reaches %s, which belongs to the program that runs this pod: choose another path", path, d)
		}
	}
	return nil
}

// resolve follows links as far as the path exists.
func resolve(path string) string {
	path = filepath.Clean(path)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	if parent := filepath.Dir(path); parent != path {
		return filepath.Join(resolve(parent), filepath.Base(path))
	}
	return path
}

func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// named are the types as error texts name them.
var named = map[corev1.HostPathType]string{
	corev1.HostPathDirectory: "directory",
	corev1.HostPathFile:      "file",
	corev1.HostPathSocket:    "socket file",
	corev1.HostPathCharDev:   "character device",
	corev1.HostPathBlockDev:  "block device",
}

func checkType(path string, want corev1.HostPathType) error {
	_, err := os.Stat(path)
	absent := errors.Is(err, fs.ErrNotExist)
	switch want {
	case corev1.HostPathDirectoryOrCreate:
		if absent {
			return os.MkdirAll(path, 0o755)
		}
		want = corev1.HostPathDirectory
	case corev1.HostPathFileOrCreate:
		if absent {
			return makeFile(path)
		}
		want = corev1.HostPathFile
	}
	word, ok := named[want]
	if !ok {
		return fmt.Errorf("%s is an invalid volume type", want)
	}
	is, err := typeOf(path)
	if err != nil {
		return fmt.Errorf("hostPath type check failed, %s is not a %s, unable to determine its type: %w", path, word, err)
	}
	if is != want {
		return fmt.Errorf("hostPath type check failed: %s is not a %s, it's a %s", path, word, is)
	}
	return nil
}

func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

func typeOf(path string) (corev1.HostPathType, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("path %q does not exist", path)
	}
	if err != nil {
		return "", err
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return corev1.HostPathDirectory, nil
	case mode.IsRegular():
		return corev1.HostPathFile, nil
	case mode&fs.ModeSocket != 0:
		return corev1.HostPathSocket, nil
	case mode&fs.ModeCharDevice != 0:
		return corev1.HostPathCharDev, nil
	case mode&fs.ModeDevice != 0:
		return corev1.HostPathBlockDev, nil
	}
	return "", errors.New("only recognise file, directory, socket, block device and character device")
}

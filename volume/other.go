//go:build !linux

package volume

import (
	"errors"
	"fmt"
	"os"
)

func unsupported(what string) error { return fmt.Errorf("%s: %w", what, errors.ErrUnsupported) }

func mountTmpfs(path string, _ int64) error { return unsupported("mount memory at " + path) }

func isMounted(string) (bool, error) { return false, nil }

func clean(path string) error { return os.RemoveAll(path) }

func removeTree(path string) error { return os.RemoveAll(path) }

func bindSubPath(r SubPathRequest) (string, error) {
	return "", unsupported("prepare subPath " + r.SubPath)
}

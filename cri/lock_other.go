//go:build !unix

package cri

import (
	"os"
	"path/filepath"
)

const shared, exclusive, exclusiveNow = 0, 0, 0

// lockFileOf locks nothing here: containers run on Linux only.
func lockFileOf(dir string, _ int) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
}

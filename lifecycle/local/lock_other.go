//go:build !unix

package local

import "os"

// tryLock opens the file: where there are no containers there is nothing to
// guard.
func tryLock(path string) (*os.File, error) { return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) }

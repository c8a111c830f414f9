package volume

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
)

// SubPath makes a part of a volume ready to be mounted by itself and returns its
// path on the host: a bind mount, made so that no link in the volume can lead
// out of it. A directory that is missing is made, with the volume's mode. It may
// be called again, and mounts anew when the part was replaced. TearDown takes it
// away.
func (m *Manager) SubPath(_ context.Context, r SubPathRequest) (string, error) {
	return bindSubPath(r)
}

// target is where the subPath is mounted.
func (r SubPathRequest) target() string {
	return filepath.Join(r.Dir, subPathsDir, r.Volume.Name, r.Container, strconv.Itoa(r.Index))
}

// failed hides the cause, which could tell of the host's files.
func (r SubPathRequest) failed(what string, cause error) error {
	return &SubPathError{fmt.Sprintf("failed to %s for volumeMount %q of container %q", what, r.Volume.Name, r.Container), cause}
}

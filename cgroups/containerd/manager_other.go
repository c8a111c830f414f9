//go:build !linux

package containerd

import "github.com/lifepod/lifepod/cgroups"

// Manager makes and removes cgroups below one root, on Linux.
type Manager struct{ *cgroups.Manager }

// Open returns errors.ErrUnsupported: only Linux has cgroups.
func Open(o cgroups.Options) (*Manager, error) {
	own, err := cgroups.Open(o)
	if err != nil {
		return nil, err
	}
	return &Manager{own}, nil
}

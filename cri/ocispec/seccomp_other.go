//go:build !linux

package ocispec

import (
	"errors"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// The profiles depend on the kernel that they are for.
func defaultSeccomp(*specs.Spec) (*specs.LinuxSeccomp, error) {
	return nil, errors.New("seccomp profiles can be made on Linux only")
}

func loadSeccomp([]byte, *specs.Spec) (*specs.LinuxSeccomp, error) { return defaultSeccomp(nil) }

//go:build !linux

package cri

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/lifepod/lifepod/cri/ocispec"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// here is a machine that runs no containers.
type here struct{}

func unsupported() error {
	return fmt.Errorf("containers run on Linux, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func (here) facts() (ocispec.Host, error)                         { return ocispec.Host{}, unsupported() }
func (here) bootID() (string, error)                              { return "", unsupported() }
func (here) mountShm(string) error                                { return unsupported() }
func (here) unmount(string) error                                 { return nil }
func (here) source(*runtimeapi.Mount) (string, error)             { return "", unsupported() }
func (here) devices(*runtimeapi.Device) ([]ocispec.Device, error) { return nil, unsupported() }
func (here) hostDevices() ([]specs.LinuxDevice, error)            { return nil, unsupported() }

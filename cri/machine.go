package cri

import (
	"github.com/lifepod/lifepod/cri/ocispec"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// machine is what the runtime does to and asks of the machine itself.
type machine interface {
	// facts are asked once.
	facts() (ocispec.Host, error)
	bootID() (string, error)
	// mountShm makes a pod's shared memory appear at dir, unmount undoes it; it
	// is no error when nothing is mounted there.
	mountShm(dir string) error
	unmount(dir string) error
	// source is the path to bind for m, made and checked.
	source(m *runtimeapi.Mount) (string, error)
	// devices are the nodes at d, several if it names a directory.
	devices(d *runtimeapi.Device) ([]ocispec.Device, error)
	// hostDevices are what a privileged container gets.
	hostDevices() ([]specs.LinuxDevice, error)
}

// shmSize is Kubernetes' size of a pod's /dev/shm.
const shmSize = 64 << 20

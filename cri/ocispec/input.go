package ocispec

import (
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Input is all that one container's spec depends on. [Build] changes none of it.
type Input struct {
	Container *runtimeapi.ContainerConfig
	Sandbox   *runtimeapi.PodSandboxConfig
	Image     imagespec.ImageConfig
	// Rootfs is the mounted root filesystem, CgroupsPath the container's own
	// cgroup.
	Rootfs, CgroupsPath string
	// User comes from [ResolveUser].
	User User
	// Namespaces are the pod's, Files its files.
	Namespaces Namespaces
	Files      Files
	// Sources are the resolved host paths of Container.Mounts, index by index.
	Sources []string
	// Volumes are the image's anonymous volumes, from [ImageVolumes].
	Volumes []Volume
	// Devices are the nodes that Container.Devices stand for.
	Devices []Device
	// HostDevices are given to privileged containers.
	HostDevices []specs.LinuxDevice
	// Seccomp is the content of the profile that a Localhost profile names.
	Seccomp []byte
	Host    Host
}

// Namespaces are paths of the pod's namespaces. A path that is empty for a
// namespace that the pod has of its own is an error.
type Namespaces struct {
	Net, IPC, UTS string
	// PID is the pod's or the target's, for containers that share one.
	PID string
}

// Files are the pod's files on the host; empty ones are not mounted.
type Files struct{ Hostname, Hosts, ResolvConf, Shm string }

// Volume is an anonymous volume that the image asks for.
type Volume struct{ HostPath, ContainerPath string }

// Device is one device node and the access to it, of "rwm".
type Device struct {
	specs.LinuxDevice
	Access string
}

// Host is what the machine can do.
type Host struct {
	Hostname string
	CgroupV2 bool
	// Capabilities are those that this process holds, as "CAP_CHOWN".
	Capabilities []string
	// MinOOMScoreAdj is the lowest oom_score_adj that may be set.
	MinOOMScoreAdj int
	// MaxOpenFiles is the highest hard limit that may be set; zero means that no
	// limit is set at all.
	MaxOpenFiles uint64
	// SwapLimit and HugeTLB say whether these cgroup controllers are there.
	SwapLimit, HugeTLB bool
	// RecursiveReadOnly says whether mounts can be made read-only recursively.
	RecursiveReadOnly bool
	// SELinux says whether SELinux is on.
	SELinux bool
}

// FieldError says that a CRI field cannot be honoured. Field is its path in the
// message, as in "linux.security_context.selinux_options".
type FieldError struct{ Field, Reason string }

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

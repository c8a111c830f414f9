package ocispec

import (
	"errors"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Build makes the spec. Its errors are *[FieldError] for what a field says, and
// plain for what in itself holds.
func Build(in Input) (*specs.Spec, error) {
	sc := in.security()
	if sc.GetPrivileged() && !in.Sandbox.GetLinux().GetSecurityContext().GetPrivileged() {
		return nil, &FieldError{"linux.security_context.privileged", "no privileged container allowed in sandbox"}
	}
	args, err := Args(in.Container, in.Image)
	if err != nil {
		return nil, err
	}
	s := &specs.Spec{
		Version:  specs.Version,
		Root:     &specs.Root{Path: in.Rootfs, Readonly: sc.GetReadonlyRootfs()},
		Hostname: "", // the pinned UTS namespace has it already
		Process: &specs.Process{
			Terminal:        in.Container.GetTty(),
			Args:            args,
			Cwd:             Cwd(in.Container, in.Image),
			NoNewPrivileges: sc.GetNoNewPrivs(),
			Rlimits:         rlimits(in.Host),
		},
		Linux: &specs.Linux{CgroupsPath: in.CgroupsPath},
		Annotations: map[string]string{
			"io.kubernetes.cri.container-type": "container",
			"io.kubernetes.cri.container-name": in.Container.GetMetadata().GetName(),
			"io.kubernetes.cri.sandbox-name":   in.Sandbox.GetMetadata().GetName(),
		},
	}
	s.Process.User = specs.User{UID: in.User.UID, GID: in.User.GID, AdditionalGids: in.User.Groups}
	for _, step := range []func(Input, *specs.Spec) error{
		environment, capabilities, namespaces, mounts, resources, devices, paths, apparmor, selinux, seccomp,
	} {
		if err := step(in, s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (in Input) security() *runtimeapi.LinuxContainerSecurityContext {
	return in.Container.GetLinux().GetSecurityContext()
}

func (in Input) podNamespaces() *runtimeapi.NamespaceOption {
	return in.Sandbox.GetLinux().GetSecurityContext().GetNamespaceOptions()
}

// rlimits are containerd's: few descriptors by default, many on request. The
// kernel refuses to raise a hard limit without CAP_SYS_RESOURCE.
func rlimits(h Host) []specs.POSIXRlimit {
	if h.MaxOpenFiles == 0 {
		return nil
	}
	hard := min(h.MaxOpenFiles, 524288)
	return []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: min(1024, hard), Hard: hard}}
}

// namespaces joins the pod's and makes the container's own.
func namespaces(in Input, s *specs.Spec) error {
	pod, own := in.podNamespaces(), in.security().GetNamespaceOptions()
	const field = "linux.security_context.namespace_options."
	if own.GetNetwork() == runtimeapi.NamespaceMode_NODE && pod.GetNetwork() != runtimeapi.NamespaceMode_NODE {
		return &FieldError{field + "network", "the container asks for the node's network, its sandbox has one of its own"}
	}
	if own.GetIpc() == runtimeapi.NamespaceMode_NODE && pod.GetIpc() != runtimeapi.NamespaceMode_NODE {
		return &FieldError{field + "ipc", "the container asks for the node's IPC, its sandbox has one of its own"}
	}
	s.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}}
	join := func(t specs.LinuxNamespaceType, path string) error {
		if path == "" {
			return errors.New("the sandbox has no pinned " + string(t) + " namespace")
		}
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: t, Path: path})
		return nil
	}
	if pod.GetNetwork() != runtimeapi.NamespaceMode_NODE {
		if err := errors.Join(join(specs.NetworkNamespace, in.Namespaces.Net), join(specs.UTSNamespace, in.Namespaces.UTS)); err != nil {
			return err
		}
	}
	if pod.GetIpc() != runtimeapi.NamespaceMode_NODE {
		if err := join(specs.IPCNamespace, in.Namespaces.IPC); err != nil {
			return err
		}
	}
	// A v1 container sees the machine's cgroups, as with containerd.
	if in.Host.CgroupV2 && !in.security().GetPrivileged() {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}
	switch own.GetPid() {
	case runtimeapi.NamespaceMode_NODE:
		return nil
	case runtimeapi.NamespaceMode_CONTAINER:
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.PIDNamespace})
		return nil
	}
	return join(specs.PIDNamespace, in.Namespaces.PID)
}

package podspec

import (
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ContainerInput is what a container is made from.
type ContainerInput struct {
	Pod *corev1.Pod
	// Container is one of the pod's; an ephemeral one is converted to this type.
	Container *corev1.Container
	// Attempt is the container's restart count, from 0.
	Attempt uint32
	// ImageRef is what the runtime calls the image, Image its status, which
	// names the image's user. A nil Image runs as root.
	ImageRef string
	Image    *runtimeapi.Image
	// Env are the variables, from [Env].
	Env []EnvVar
	// Volumes are the pod's volumes by name.
	Volumes map[string]Source
	// SubPaths are host paths by index in the container's volumeMounts: each
	// mount that [SubPaths] lists, made ready.
	SubPaths map[int]string
	// HostsFile and TerminationLog are files on the host; both are mounted
	// unless they are empty.
	HostsFile, TerminationLog string
	// Resources are the limits of the container's cgroup.
	Resources *runtimeapi.LinuxContainerResources
	// SeccompRoot is the directory of Localhost profiles. SeccompDefault gives
	// containers without a profile the runtime's own.
	SeccompRoot    string
	SeccompDefault bool
	// MaskedPaths are hidden besides Kubernetes' own list: [ThermalPaths].
	MaskedPaths []string
	// RecursiveReadOnly says that the runtime can do it.
	RecursiveReadOnly bool
	// TargetID is the container whose processes an ephemeral container sees.
	TargetID string
}

// Container makes the message that creates the container. An error has the
// reason CreateContainerConfigError.
func Container(in ContainerInput) (*runtimeapi.ContainerConfig, error) {
	c := in.Container
	mounts, err := in.mounts()
	if err != nil {
		return nil, configError(err)
	}
	security, err := in.security()
	if err != nil {
		return nil, configError(err)
	}
	vars := asMap(in.Env)
	cfg := &runtimeapi.ContainerConfig{
		Metadata:    &runtimeapi.ContainerMetadata{Name: c.Name, Attempt: in.Attempt},
		Image:       &runtimeapi.ImageSpec{Image: in.ImageRef, UserSpecifiedImage: c.Image},
		Command:     expandAll(c.Command, vars),
		Args:        expandAll(c.Args, vars),
		WorkingDir:  c.WorkingDir,
		Labels:      containerLabels(in.Pod, c),
		Annotations: containerAnnotations(in.Pod, c, in.Attempt),
		Mounts:      mounts,
		LogPath:     LogPath(c.Name, in.Attempt),
		Stdin:       c.Stdin,
		StdinOnce:   c.StdinOnce,
		Tty:         c.TTY,
		Linux:       &runtimeapi.LinuxContainerConfig{Resources: in.Resources, SecurityContext: security},
	}
	for _, e := range in.Env {
		cfg.Envs = append(cfg.Envs, &runtimeapi.KeyValue{Key: e.Name, Value: []byte(e.Value)})
	}
	return cfg, nil
}

func (in *ContainerInput) security() (*runtimeapi.LinuxContainerSecurityContext, error) {
	sc := effective(in.Pod, in.Container)
	uid, name := imageUser(in.Image)
	if err := checkNonRoot(in.Pod, in.Container, sc, uid, name); err != nil {
		return nil, err
	}
	out := &runtimeapi.LinuxContainerSecurityContext{
		Capabilities:     capabilities(sc.Capabilities),
		Privileged:       deref(sc.Privileged),
		NamespaceOptions: Namespaces(in.Pod),
		SelinuxOptions:   selinux(sc.SELinuxOptions),
		RunAsUser:        int64Value(sc.RunAsUser),
		RunAsGroup:       int64Value(sc.RunAsGroup),
		ReadonlyRootfs:   deref(sc.ReadOnlyRootFilesystem),
		NoNewPrivs:       sc.AllowPrivilegeEscalation != nil && !*sc.AllowPrivilegeEscalation,
	}
	if out.RunAsUser == nil {
		out.RunAsUser, out.RunAsUsername = int64Value(uid), name
	}
	if in.TargetID != "" && out.NamespaceOptions.Pid == runtimeapi.NamespaceMode_CONTAINER {
		out.NamespaceOptions.Pid = runtimeapi.NamespaceMode_TARGET
		out.NamespaceOptions.TargetId = in.TargetID
	}
	if sc.ProcMount == nil || *sc.ProcMount != corev1.UnmaskedProcMount {
		out.MaskedPaths = append(maskedPaths(), in.MaskedPaths...)
		out.ReadonlyPaths = readonlyPaths()
	}
	var err error
	if out.Seccomp, err = seccomp(sc.SeccompProfile, in.SeccompRoot, in.SeccompDefault); err != nil {
		return nil, err
	}
	if out.Apparmor, out.ApparmorProfile, err = appArmor(appArmorProfile(in.Pod, in.Container)); err != nil { //nolint:staticcheck // the kubelet sets it too
		return nil, err
	}
	if psc := in.Pod.Spec.SecurityContext; psc != nil {
		out.SupplementalGroups, out.SupplementalGroupsPolicy, err = groups(psc)
	}
	return out, err
}

func deref(b *bool) bool { return b != nil && *b }

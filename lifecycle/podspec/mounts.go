package podspec

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const hostsPath = "/etc/hosts"

// Source is a volume that is ready on the host.
type Source struct {
	// HostPath is the volume's directory or file.
	HostPath string
	// ReadOnly makes every mount of it read-only, as for configMaps.
	ReadOnly bool
}

// SubPaths gives, by their index in the container's volumeMounts, the subPaths
// to make ready, with subPathExpr expanded by env. An error has the reason
// CreateContainerConfigError.
func SubPaths(c *corev1.Container, env []EnvVar) (map[int]string, error) {
	out := map[int]string{}
	vars := asMap(env)
	for i, m := range c.VolumeMounts {
		sub := m.SubPath
		if m.SubPathExpr != "" {
			var err error
			if sub, err = expandSubPath(m.SubPathExpr, vars); err != nil {
				return nil, configError(err)
			}
		}
		switch {
		case sub == "":
			continue
		case path.IsAbs(sub):
			return nil, configErrorf("error SubPath `%s` must not be an absolute path", sub)
		case slices.Contains(strings.Split(sub, "/"), ".."):
			return nil, configErrorf("unable to provision SubPath `%s`: must not contain '..'", sub)
		}
		out[i] = sub
	}
	return out, nil
}

func (in *ContainerInput) mounts() ([]*runtimeapi.Mount, error) {
	var out []*runtimeapi.Mount
	hosts := in.HostsFile != ""
	for i := range in.Container.VolumeMounts {
		m := &in.Container.VolumeMounts[i]
		hosts = hosts && m.MountPath != hostsPath
		mount, err := in.volumeMount(i, m)
		if err != nil {
			return nil, err
		}
		out = append(out, mount)
	}
	if hosts {
		out = append(out, &runtimeapi.Mount{ContainerPath: hostsPath, HostPath: in.HostsFile})
	}
	if p := in.Container.TerminationMessagePath; p != "" && in.TerminationLog != "" {
		out = append(out, &runtimeapi.Mount{ContainerPath: absolute(p), HostPath: in.TerminationLog})
	}
	return out, nil
}

func (in *ContainerInput) volumeMount(i int, m *corev1.VolumeMount) (*runtimeapi.Mount, error) {
	source, ok := in.Volumes[m.Name]
	if !ok {
		return nil, fmt.Errorf("cannot find volume %q to mount into container %q", m.Name, in.Container.Name)
	}
	if m.SubPath != "" || m.SubPathExpr != "" {
		if source.HostPath, ok = in.SubPaths[i]; !ok {
			return nil, fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q", m.Name, in.Container.Name)
		}
	}
	prop, err := propagation(m.MountPropagation)
	if err != nil {
		return nil, err
	}
	recursive, err := recursiveReadOnly(m, in.RecursiveReadOnly)
	if err != nil {
		return nil, fmt.Errorf("failed to resolve recursive read-only mode: %w", err)
	}
	return &runtimeapi.Mount{
		ContainerPath:     absolute(m.MountPath),
		HostPath:          source.HostPath,
		Readonly:          m.ReadOnly || source.ReadOnly,
		Propagation:       prop,
		RecursiveReadOnly: recursive,
	}, nil
}

// absolute makes a relative path in a container start at its root.
func absolute(p string) string {
	if path.IsAbs(p) {
		return p
	}
	return "/" + p
}

func propagation(mode *corev1.MountPropagationMode) (runtimeapi.MountPropagation, error) {
	if mode == nil {
		return runtimeapi.MountPropagation_PROPAGATION_PRIVATE, nil
	}
	switch *mode {
	case corev1.MountPropagationNone:
		return runtimeapi.MountPropagation_PROPAGATION_PRIVATE, nil
	case corev1.MountPropagationHostToContainer:
		return runtimeapi.MountPropagation_PROPAGATION_HOST_TO_CONTAINER, nil
	case corev1.MountPropagationBidirectional:
		return runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL, nil
	}
	return 0, fmt.Errorf("invalid MountPropagation mode: %q", *mode)
}

// recursiveReadOnly decides the mode of one mount by what it asks for and what
// the runtime can do.
func recursiveReadOnly(m *corev1.VolumeMount, able bool) (bool, error) {
	if m.RecursiveReadOnly == nil || *m.RecursiveReadOnly == corev1.RecursiveReadOnlyDisabled {
		return false, nil
	}
	asked := fmt.Sprintf("volume %q requested recursive read-only mode, but", m.Name)
	if !m.ReadOnly {
		return false, fmt.Errorf("%s it is not read-only", asked)
	}
	if p := m.MountPropagation; p != nil && *p != corev1.MountPropagationNone {
		return false, fmt.Errorf("%s it is not compatible with propagation %q", asked, *p)
	}
	switch mode := *m.RecursiveReadOnly; mode {
	case corev1.RecursiveReadOnlyIfPossible:
		return able, nil
	case corev1.RecursiveReadOnlyEnabled:
		if !able {
			return false, fmt.Errorf("%s it is not supported by the runtime", asked)
		}
		return true, nil
	default:
		return false, fmt.Errorf("unknown recursive read-only mode %q", mode)
	}
}

package ocispec

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ImageVolumes are the paths of the image's anonymous volumes that no mount of
// the container covers, sorted.
func ImageVolumes(c *runtimeapi.ContainerConfig, img imagespec.ImageConfig) []string {
	var out []string
	for _, p := range slices.Sorted(maps.Keys(img.Volumes)) {
		dst := path.Join("/", p)
		covered := slices.ContainsFunc(c.GetMounts(), func(m *runtimeapi.Mount) bool { return path.Clean(m.GetContainerPath()) == dst })
		if dst != "/" && !covered && !slices.Contains(out, dst) {
			out = append(out, dst)
		}
	}
	return out
}

// mounts are the default ones less those that are covered, then the pod's files,
// the image's volumes and the container's own, upper levels first.
func mounts(in Input, s *specs.Spec) error {
	own, err := in.ownMounts(s)
	if err != nil {
		return err
	}
	taken := map[string]bool{}
	for _, m := range own {
		taken[path.Clean(m.Destination)] = true
	}
	for _, m := range in.podMounts() {
		if !taken[m.Destination] {
			taken[m.Destination] = true
			own = append(own, m)
		}
	}
	for _, m := range defaultMounts(in) {
		if !taken[m.Destination] && !(taken["/dev"] && strings.HasPrefix(m.Destination, "/dev/")) {
			s.Mounts = append(s.Mounts, m)
		}
	}
	slices.SortStableFunc(own, func(a, b specs.Mount) int { return depth(a.Destination) - depth(b.Destination) })
	s.Mounts = append(s.Mounts, own...)
	return nil
}

func depth(p string) int { return strings.Count(path.Clean(p), "/") }

func defaultMounts(in Input) []specs.Mount {
	mode := "ro"
	if in.security().GetPrivileged() {
		mode = "rw"
	}
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts",
			Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", mode}},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", mode}},
	}
}

// podMounts are the pod's files and the image's volumes.
func (in Input) podMounts() []specs.Mount {
	var out []specs.Mount
	rw := "rw"
	if in.security().GetReadonlyRootfs() {
		rw = "ro"
	}
	bind := func(src, dst, mode string) {
		if src != "" {
			out = append(out, specs.Mount{Type: "bind", Source: src, Destination: dst, Options: []string{"rbind", "rprivate", mode}})
		}
	}
	bind(in.Files.Hostname, "/etc/hostname", rw)
	bind(in.Files.Hosts, "/etc/hosts", rw)
	bind(in.Files.ResolvConf, "/etc/resolv.conf", rw)
	bind(in.Files.Shm, "/dev/shm", "rw")
	for _, v := range in.Volumes {
		bind(v.HostPath, v.ContainerPath, "rw")
	}
	return out
}

// ownMounts are those of the CRI message. They set the root's propagation.
func (in Input) ownMounts(s *specs.Spec) ([]specs.Mount, error) {
	var out []specs.Mount
	if len(in.Sources) != len(in.Container.GetMounts()) {
		return nil, fmt.Errorf("%d mounts have %d sources", len(in.Container.GetMounts()), len(in.Sources))
	}
	for i, m := range in.Container.GetMounts() {
		field := fmt.Sprintf("mounts[%d].", i)
		if !path.IsAbs(m.GetContainerPath()) {
			return nil, &FieldError{field + "container_path", fmt.Sprintf("%q is no absolute path", m.GetContainerPath())}
		}
		if m.GetSelinuxRelabel() && in.Host.SELinux {
			return nil, &FieldError{field + "selinux_relabel", "SELinux labels are not supported"}
		}
		mode, err := readOnly(in.Host, m, field)
		if err != nil {
			return nil, err
		}
		prop, err := propagation(m, field, s)
		if err != nil {
			return nil, err
		}
		out = append(out, specs.Mount{Type: "bind", Source: in.Sources[i], Destination: m.GetContainerPath(), Options: []string{"rbind", prop, mode}})
	}
	return out, nil
}

func propagation(m *runtimeapi.Mount, field string, s *specs.Spec) (string, error) {
	switch m.GetPropagation() {
	case runtimeapi.MountPropagation_PROPAGATION_PRIVATE:
		return "rprivate", nil
	case runtimeapi.MountPropagation_PROPAGATION_HOST_TO_CONTAINER:
		if s.Linux.RootfsPropagation == "" {
			s.Linux.RootfsPropagation = "rslave"
		}
		return "rslave", nil
	case runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL:
		s.Linux.RootfsPropagation = "rshared"
		return "rshared", nil
	}
	return "", &FieldError{field + "propagation", fmt.Sprintf("the mode %d is unknown", m.GetPropagation())}
}

func readOnly(h Host, m *runtimeapi.Mount, field string) (string, error) {
	switch {
	case !m.GetRecursiveReadOnly() && m.GetReadonly():
		return "ro", nil
	case !m.GetRecursiveReadOnly():
		return "rw", nil
	case !m.GetReadonly():
		return "", &FieldError{field + "recursive_read_only", "recursive read-only mount conflicts with RW mount"}
	case m.GetPropagation() != runtimeapi.MountPropagation_PROPAGATION_PRIVATE:
		return "", &FieldError{field + "recursive_read_only", fmt.Sprintf("recursive read-only mount needs private propagation, got %q", m.GetPropagation())}
	case !h.RecursiveReadOnly:
		return "", &FieldError{field + "recursive_read_only", "this kernel cannot make mounts read-only recursively (Linux 5.12 can)"}
	}
	return "rro", nil
}

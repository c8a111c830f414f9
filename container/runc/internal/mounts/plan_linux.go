package mounts

import (
	"path"
	"slices"
	"strings"

	"github.com/moby/sys/userns"
	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/runc/libcontainer/configs"
	"golang.org/x/sys/unix"
)

// Plan is what init is to mount. Targets are absolute in the container.
type Plan struct {
	Rootfs  string
	Mounts  []Mount
	Devices []Device
	// ReadOnly and Masked are the paths of the OCI fields of these names.
	ReadOnly, Masked []string
}

// Mount is one mount, in the order in which they are made.
type Mount struct {
	Type, Source, Target string
	// Options are the filesystem's own.
	Options []string
	// Attr are MOUNT_ATTR_ flags. Of a bind mount they replace those of its
	// source if Change is set.
	Attr   uint64
	Change bool
	// Recursive binds what is mounted below the source, too.
	Recursive   bool
	Propagation []Propagation
	// Cgroups are the hierarchies of a mount of type cgroup on cgroup v1.
	Cgroups []cgroups.Mount
}

// Propagation is one change of it.
type Propagation struct {
	Flag      uint64 // MS_PRIVATE, …
	Recursive bool
}

// Device is a node of /dev.
type Device struct {
	Name     string
	Mode     uint32 // with the type
	UID, GID int
	Dev      int
}

// Take moves what Make can do from the configuration into a plan. It returns
// nil, and changes nothing, if the configuration has anything that is not plain.
func Take(c *configs.Config) *Plan {
	if !supported() || !plain(c) {
		return nil
	}
	p := &Plan{Rootfs: c.Rootfs}
	for _, m := range c.Mounts {
		one, ok := plainMount(m, c.Namespaces.Contains(configs.NEWCGROUP))
		if !ok {
			return nil
		}
		p.Mounts = append(p.Mounts, one)
	}
	c.Mounts = nil
	// Later than ours libcontainer writes to /proc/sys.
	if p.takeDevices(c) && len(c.Sysctl) == 0 {
		p.ReadOnly, c.ReadonlyPaths = c.ReadonlyPaths, nil
		p.Masked, c.MaskPaths = c.MaskPaths, nil
	}
	return p
}

// plain says whether the container is made in a mount namespace of its own from
// which nothing reaches the host, by someone with all rights.
func plain(c *configs.Config) bool {
	ns := c.Namespaces
	return ns.Contains(configs.NEWNS) && ns.PathOf(configs.NEWNS) == "" && !ns.Contains(configs.NEWUSER) &&
		!c.RootlessEUID && !c.NoPivotRoot && !userns.RunningInUserNS() && c.MountLabel == "" && len(c.Mounts) > 0 &&
		(c.RootPropagation == 0 || c.RootPropagation == unix.MS_SLAVE|unix.MS_REC)
}

// attrs are the mount flags that have an attribute of the mount API.
var attrs = map[int]uint64{
	unix.MS_RDONLY: unix.MOUNT_ATTR_RDONLY, unix.MS_NOSUID: unix.MOUNT_ATTR_NOSUID, unix.MS_NODEV: unix.MOUNT_ATTR_NODEV,
	unix.MS_NOEXEC: unix.MOUNT_ATTR_NOEXEC, unix.MS_RELATIME: unix.MOUNT_ATTR_RELATIME, unix.MS_STRICTATIME: unix.MOUNT_ATTR_STRICTATIME,
}

var types = []string{"bind", "proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup"}

func plainMount(m *configs.Mount, cgroupNS bool) (Mount, bool) {
	target := path.Clean("/" + m.Destination)
	p := Mount{Type: m.Device, Source: m.Source, Target: target}
	if !slices.Contains(types, m.Device) || m.IDMapping != nil || m.RecAttr != nil || m.Extensions != 0 ||
		target == "/" || strings.HasPrefix(target, "/proc/") || (target == "/proc") != (m.Device == "proc") ||
		target == "/dev" && m.Device != "tmpfs" {
		return p, false
	}
	left := m.Flags
	if m.IsBind() {
		p.Recursive = left&unix.MS_REC != 0
		left &^= unix.MS_BIND | unix.MS_REC
		p.Change = left != 0 || m.ClearedFlags != 0
	}
	for flag, attr := range attrs {
		if left&flag != 0 {
			p.Attr |= attr
			left &^= flag
		}
	}
	readOnly := p.Attr&unix.MOUNT_ATTR_RDONLY != 0
	// What is mounted in a read-only tmpfs needs a place there first.
	if left != 0 || m.IsBind() != (m.Device == "bind") || readOnly && m.Device == "tmpfs" {
		return p, false
	}
	for _, f := range m.PropagationFlags {
		if f&unix.MS_SHARED != 0 {
			return p, false
		}
		p.Propagation = append(p.Propagation, Propagation{uint64(f &^ unix.MS_REC), f&unix.MS_REC != 0})
	}
	if m.Data != "" {
		p.Options = strings.Split(m.Data, ",")
	}
	return p, m.Device != "cgroup" || p.takeCgroups(cgroupNS)
}

// takeCgroups finds the hierarchies of cgroup v1; v2 has one.
func (m *Mount) takeCgroups(namespace bool) bool {
	if cgroups.IsCgroup2UnifiedMode() {
		m.Type = "cgroup2"
		return true
	}
	var err error
	m.Cgroups, err = cgroups.GetCgroupMounts(false)
	return err == nil && !namespace
}

// takeDevices takes the nodes in /dev, if that is a new tmpfs.
func (p *Plan) takeDevices(c *configs.Config) bool {
	if !slices.ContainsFunc(p.Mounts, func(m Mount) bool { return m.Target == "/dev" }) {
		return false
	}
	rest := c.Devices[:0:0]
	null := false
	for _, d := range c.Devices {
		kind := map[rune]uint32{'c': unix.S_IFCHR, 'b': unix.S_IFBLK, 'p': unix.S_IFIFO}[rune(d.Type)]
		dev, err := d.Mkdev()
		if dir, name := path.Split(d.Path); dir == "/dev/" && path.Clean(d.Path) == d.Path && name != "ptmx" && kind != 0 && err == nil {
			null = null || name == "null"
			p.Devices = append(p.Devices, Device{name, kind | uint32(d.FileMode), int(d.Uid), int(d.Gid), int(dev)})
		} else {
			rest = append(rest, d)
		}
	}
	c.Devices = rest
	return null
}

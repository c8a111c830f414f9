package validation

import (
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// podSecurity checks the pod's security context and its use of host namespaces.
func (c *podCheck) podSecurity(at *field.Path) {
	s := c.spec
	if s.ShareProcessNamespace != nil && *s.ShareProcessNamespace && s.HostPID {
		c.invalid(at.Child("shareProcessNamespace"), *s.ShareProcessNamespace, "ShareProcessNamespace and HostPID cannot both be enabled")
	}
	c.hostUsers(at)
	sc := s.SecurityContext
	if sc == nil {
		return
	}
	at = at.Child("securityContext")
	c.groupID(at.Child("fsGroup"), sc.FSGroup)
	c.userID(at.Child("runAsUser"), sc.RunAsUser)
	c.groupID(at.Child("runAsGroup"), sc.RunAsGroup)
	for i := range sc.SupplementalGroups {
		c.groupID(at.Child("supplementalGroups").Index(i), &sc.SupplementalGroups[i])
	}
	c.sysctls(at.Child("sysctls"), sc.Sysctls)
	maybeOneOf(&c.report, at.Child("fsGroupChangePolicy"), sc.FSGroupChangePolicy, corev1.FSGroupChangeAlways, corev1.FSGroupChangeOnRootMismatch)
	maybeOneOf(&c.report, at.Child("supplementalGroupsPolicy"), sc.SupplementalGroupsPolicy,
		corev1.SupplementalGroupsPolicyMerge, corev1.SupplementalGroupsPolicyStrict)
	maybeOneOf(&c.report, at.Child("seLinuxChangePolicy"), sc.SELinuxChangePolicy,
		corev1.SELinuxChangePolicyMountOption, corev1.SELinuxChangePolicyRecursive)
	c.seccomp(at.Child("seccompProfile"), sc.SeccompProfile)
	c.appArmor(at.Child("appArmorProfile"), sc.AppArmorProfile)
	c.windowsOptions(at.Child("windowsOptions"), sc.WindowsOptions)
}

// hostUsers: a user namespace does not go with the host's other namespaces.
func (c *podCheck) hostUsers(at *field.Path) {
	if c.spec.HostUsers == nil || *c.spec.HostUsers {
		return
	}
	const why = "when `hostUsers` is false"
	if c.spec.HostNetwork {
		c.forbidden(at.Child("hostNetwork"), why)
	}
	if c.spec.HostPID {
		c.forbidden(at.Child("HostPID"), why)
	}
	if c.spec.HostIPC {
		c.forbidden(at.Child("HostIPC"), why)
	}
	for here, ctr := range c.all(at) {
		if len(ctr.VolumeDevices) > 0 {
			c.forbidden(here.Child("volumeDevices"), why)
		}
	}
}

const maxSysctl = 253

var sysctlName = regexp.MustCompile(`^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$`)

func (c *podCheck) sysctls(at *field.Path, list []corev1.Sysctl) {
	seen := unique{}
	for i, s := range list {
		here := at.Index(i).Child("name")
		if c.need(here, s.Name) {
			if len(s.Name) > maxSysctl || !sysctlName.MatchString(s.Name) {
				c.invalid(here, s.Name, sprintf("must have at most %d characters and match regex %s", maxSysctl, sysctlName))
			} else if seen[s.Name] {
				c.add(field.Duplicate(here, s.Name))
			}
		}
		seen[s.Name] = true
		switch namespace := sysctlNamespace(s.Name); {
		case c.spec.HostNetwork && namespace == "net":
			c.invalid(here, s.Name, "may not be specified when 'hostNetwork' is true")
		case c.spec.HostIPC && namespace == "ipc":
			c.invalid(here, s.Name, "may not be specified when 'hostIPC' is true")
		}
	}
}

// ipcSysctls are the names of the ipc namespace outside fs.mqueue; the two short
// ones stand for all that begin with them, when a star follows.
var ipcSysctls = []string{
	"kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced", "kernel.shm",
	"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.msg",
}

// sysctlNamespace returns the namespace that a sysctl belongs to: net, ipc or none.
// Names may use slashes for dots; the first separator decides.
func sysctlNamespace(name string) string {
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '/' {
		name = strings.NewReplacer(".", "/", "/", ".").Replace(name)
	}
	name, _, _ = strings.Cut(name, "*")
	switch {
	case strings.HasPrefix(name, "net."):
		return "net"
	case strings.HasPrefix(name, "fs.mqueue."), slices.Contains(ipcSysctls, name):
		return "ipc"
	}
	return ""
}

// security checks a container's security context.
func (c *podCheck) security(at *field.Path, sc *corev1.SecurityContext) {
	if sc == nil {
		return
	}
	c.userID(at.Child("runAsUser"), sc.RunAsUser)
	c.groupID(at.Child("runAsGroup"), sc.RunAsGroup)
	if p := sc.ProcMount; p != nil {
		oneOf(&c.report, at.Child("procMount"), *p, corev1.DefaultProcMount, corev1.UnmaskedProcMount)
		if hostUsers := c.spec.HostUsers == nil || *c.spec.HostUsers; hostUsers && *p == corev1.UnmaskedProcMount {
			c.invalid(at.Child("procMount"), p, "`hostUsers` must be false to use `Unmasked`")
		}
	}
	c.seccomp(at.Child("seccompProfile"), sc.SeccompProfile)
	if e := sc.AllowPrivilegeEscalation; e != nil && !*e {
		if sc.Privileged != nil && *sc.Privileged {
			c.invalid(at, sc, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
		}
		if sc.Capabilities != nil {
			for _, capability := range sc.Capabilities.Add {
				if capability == "CAP_SYS_ADMIN" {
					c.invalid(at, sc, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN")
				}
			}
		}
	}
	c.windowsOptions(at.Child("windowsOptions"), sc.WindowsOptions)
	c.appArmor(at.Child("appArmorProfile"), sc.AppArmorProfile)
}

func (c *podCheck) seccomp(at *field.Path, p *corev1.SeccompProfile) {
	if p == nil {
		return
	}
	if p.Type == "" {
		c.required(at.Child("type"), "type is required when seccompProfile is set")
	} else {
		oneOf(&c.report, at.Child("type"), p.Type,
			corev1.SeccompProfileTypeLocalhost, corev1.SeccompProfileTypeRuntimeDefault, corev1.SeccompProfileTypeUnconfined)
	}
	file := at.Child("localhostProfile")
	local := p.Type == corev1.SeccompProfileTypeLocalhost
	switch {
	case local && p.LocalhostProfile == nil:
		c.required(file, "must be set when seccomp type is Localhost")
	case local:
		c.descending(file, *p.LocalhostProfile)
	case p.LocalhostProfile != nil:
		c.invalid(file, p, "can only be set when seccomp type is Localhost")
	}
}

// maxProfile is the length of an AppArmor profile's name.
const maxProfile = 4095

func (c *podCheck) appArmor(at *field.Path, p *corev1.AppArmorProfile) {
	if p == nil {
		return
	}
	name := at.Child("localhostProfile")
	switch p.Type {
	case corev1.AppArmorProfileTypeLocalhost:
		if p.LocalhostProfile == nil {
			c.required(name, "must be set when AppArmor type is Localhost")
			return
		}
		switch v := *p.LocalhostProfile; {
		case strings.TrimSpace(v) != v:
			c.invalid(name, v, "must not be padded with whitespace")
		case v == "":
			c.required(name, "must be set when AppArmor type is Localhost")
		}
		if len(*p.LocalhostProfile) > maxProfile {
			c.add(field.TooLong(name, "", maxProfile))
		}
	case corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined:
		if p.LocalhostProfile != nil {
			c.invalid(name, p.LocalhostProfile, "can only be set when AppArmor type is Localhost")
		}
	case "":
		c.required(at.Child("type"), "type is required when appArmorProfile is set")
	default:
		oneOf(&c.report, at.Child("type"), p.Type,
			corev1.AppArmorProfileTypeLocalhost, corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined)
	}
}

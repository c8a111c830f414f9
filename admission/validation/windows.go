package validation

import (
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// operatingSystem checks spec.os and what it excludes.
func (c *podCheck) operatingSystem(at *field.Path) {
	if c.spec.OS == nil {
		return
	}
	if !c.need(at.Child("os", "name"), string(c.spec.OS.Name)) ||
		!oneOf(&c.report, at.Child("os"), c.spec.OS.Name, corev1.Linux, corev1.Windows) {
		return
	}
	if c.spec.OS.Name == corev1.Linux {
		c.notOnLinux(at)
		return
	}
	c.notOnWindows(at)
}

func (c *podCheck) notOnLinux(at *field.Path) {
	const why = "windows options cannot be set for a linux pod"
	if sc := c.spec.SecurityContext; sc != nil && sc.WindowsOptions != nil {
		c.forbidden(at.Child("securityContext", "windowsOptions"), why)
	}
	for here, ctr := range c.all(at) {
		if sc := ctr.SecurityContext; sc != nil && sc.WindowsOptions != nil {
			c.forbidden(here.Child("securityContext", "windowsOptions"), why)
		}
	}
}

// flag is a field and whether it is set.
type flag struct {
	name string
	set  bool
}

func (c *podCheck) notOnWindows(at *field.Path) {
	forbid := func(at *field.Path, flags ...flag) {
		for _, f := range flags {
			if f.set {
				c.forbidden(at.Child(f.name), "cannot be set for a windows pod")
			}
		}
	}
	s := c.spec
	forbid(at, flag{"hostUsers", s.HostUsers != nil}, flag{"hostPID", s.HostPID}, flag{"hostIPC", s.HostIPC},
		flag{"shareProcessNamespace", s.ShareProcessNamespace != nil})
	if sc := s.SecurityContext; sc != nil {
		forbid(at.Child("securityContext"),
			flag{"appArmorProfile", sc.AppArmorProfile != nil}, flag{"seLinuxOptions", sc.SELinuxOptions != nil},
			flag{"seccompProfile", sc.SeccompProfile != nil}, flag{"fsGroup", sc.FSGroup != nil},
			flag{"fsGroupChangePolicy", sc.FSGroupChangePolicy != nil}, flag{"sysctls", len(sc.Sysctls) > 0},
			flag{"runAsUser", sc.RunAsUser != nil}, flag{"runAsGroup", sc.RunAsGroup != nil},
			flag{"supplementalGroups", sc.SupplementalGroups != nil}, flag{"supplementalGroupsPolicy", sc.SupplementalGroupsPolicy != nil},
			flag{"seLinuxChangePolicy", sc.SELinuxChangePolicy != nil})
	}
	for here, ctr := range c.all(at) {
		if sc := ctr.SecurityContext; sc != nil {
			forbid(here.Child("securityContext"),
				flag{"appArmorProfile", sc.AppArmorProfile != nil}, flag{"seLinuxOptions", sc.SELinuxOptions != nil},
				flag{"seccompProfile", sc.SeccompProfile != nil}, flag{"capabilities", sc.Capabilities != nil},
				flag{"readOnlyRootFilesystem", sc.ReadOnlyRootFilesystem != nil}, flag{"privileged", sc.Privileged != nil},
				flag{"allowPrivilegeEscalation", sc.AllowPrivilegeEscalation != nil}, flag{"procMount", sc.ProcMount != nil},
				flag{"runAsUser", sc.RunAsUser != nil}, flag{"runAsGroup", sc.RunAsGroup != nil})
		}
	}
}

// windows checks that host process containers are all or none.
func (c *podCheck) windows(at *field.Path) {
	var whole *bool
	if sc := c.spec.SecurityContext; sc != nil && sc.WindowsOptions != nil {
		whole = sc.WindowsOptions.HostProcess
	}
	containers, host := 0, 0
	for here, ctr := range c.all(at) {
		containers++
		var own *bool
		if sc := ctr.SecurityContext; sc != nil && sc.WindowsOptions != nil {
			own = sc.WindowsOptions.HostProcess
		}
		if whole != nil && own != nil && *whole != *own {
			c.invalid(here.Child("securityContext", "windowsOptions", "hostProcess"), *own,
				sprintf("pod hostProcess value must be identical if both are specified, was %v", *whole))
		}
		if own == nil {
			own = whole
		}
		if own != nil && *own {
			host++
		}
	}
	if host == 0 {
		return
	}
	if host != containers {
		c.invalid(at, "", "If pod contains any hostProcess containers then all containers must be HostProcess containers")
	}
	if !c.spec.HostNetwork {
		c.invalid(at.Child("hostNetwork"), false, "hostNetwork must be true if pod contains any hostProcess containers")
	}
}

// Limits of a Windows user's name and credentials.
const (
	maxCredentialKiB = 64
	maxDomain        = 256
	maxUser          = 104
)

var (
	controlCharacters = regexp.MustCompile(`[[:cntrl:]]+`)
	netBIOSDomain     = regexp.MustCompile(`^[^\\/:\*\?"<>|\.][^\\/:\*\?"<>|]{0,14}$`)
	dnsDomain         = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$`)
	badUserCharacters = regexp.MustCompile(`["/\\:;|=,\+\*\?<>@\[\]]`)
	onlyDotsAndSpaces = regexp.MustCompile(`^[\. ]+$`)
)

func (c *podCheck) windowsOptions(at *field.Path, o *corev1.WindowsSecurityContextOptions) {
	if o == nil {
		return
	}
	if n := o.GMSACredentialSpecName; n != nil {
		c.each(at.Child("gmsaCredentialSpecName"), n, validation.IsDNS1123Subdomain(*n))
	}
	if s := o.GMSACredentialSpec; s != nil {
		if *s == "" {
			c.invalid(at.Child("gmsaCredentialSpec"), s, "gmsaCredentialSpec cannot be an empty string")
		} else if len(*s) > maxCredentialKiB<<10 {
			c.invalid(at.Child("gmsaCredentialSpec"), s, sprintf("gmsaCredentialSpec size must be under %d KiB", maxCredentialKiB))
		}
	}
	if u := o.RunAsUserName; u != nil {
		for _, msg := range windowsUser(*u) {
			c.invalid(at.Child("runAsUserName"), u, msg)
		}
	}
}

// windowsUser says what is wrong with [DOMAIN\]USER.
func windowsUser(name string) (wrong []string) {
	switch {
	case name == "":
		return []string{"runAsUserName cannot be an empty string"}
	case controlCharacters.MatchString(name):
		return []string{"runAsUserName cannot contain control characters"}
	case strings.Count(name, `\`) > 1:
		return []string{"runAsUserName cannot contain more than one backslash"}
	}
	domain, user, hasDomain := strings.Cut(name, `\`)
	if !hasDomain {
		domain, user = "", name
	}
	for _, rule := range []struct {
		broken bool
		says   string
	}{
		{len(domain) >= maxDomain, sprintf("runAsUserName's Domain length must be under %d characters", maxDomain)},
		{hasDomain && !netBIOSDomain.MatchString(domain) && !dnsDomain.MatchString(domain),
			"runAsUserName's Domain doesn't match the NetBios nor the DNS format"},
		{user == "", "runAsUserName's User cannot be empty"},
		{len(user) > maxUser, sprintf("runAsUserName's User length must not be longer than %d characters", maxUser)},
		{onlyDotsAndSpaces.MatchString(user), "runAsUserName's User cannot contain only periods or spaces"},
		{badUserCharacters.MatchString(user), `runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[]`},
	} {
		if rule.broken {
			wrong = append(wrong, rule.says)
		}
	}
	return wrong
}

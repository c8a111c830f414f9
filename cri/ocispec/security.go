package ocispec

import (
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// MaskedPaths and ReadonlyPaths hide and protect what is the machine's, for a
// container whose message has no security context at all. One that has a
// security context says itself what is to be hidden.
var (
	MaskedPaths = []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
	}
	ReadonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

func paths(in Input, s *specs.Spec) error {
	sc := in.security()
	switch {
	case sc == nil:
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = slices.Clone(MaskedPaths), slices.Clone(ReadonlyPaths)
	case !sc.GetPrivileged():
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = sc.GetMaskedPaths(), sc.GetReadonlyPaths()
	}
	return nil
}

func apparmor(in Input, _ *specs.Spec) error {
	const field = "linux.security_context.apparmor"
	p, err := Profile(field, in.security().GetApparmor(), in.security().GetApparmorProfile()) //nolint:staticcheck // older callers set it
	if err != nil || p == nil || p.GetProfileType() == runtimeapi.SecurityProfile_Unconfined {
		return err
	}
	return &FieldError{field, "AppArmor profiles are not supported: leave the profile out or make it Unconfined"}
}

func selinux(in Input, _ *specs.Spec) error {
	return noSELinux("linux.security_context.selinux_options", in.security().GetSelinuxOptions())
}

func noSELinux(field string, o *runtimeapi.SELinuxOption) error {
	if o.GetUser()+o.GetRole()+o.GetType()+o.GetLevel() == "" {
		return nil
	}
	return &FieldError{field, "SELinux labels are not supported"}
}

// Profile is the security profile that a message asks for: the field, else what
// the deprecated string says ("runtime/default", "docker/default", "unconfined",
// "localhost/x"), nil for none.
func Profile(field string, p *runtimeapi.SecurityProfile, old string) (*runtimeapi.SecurityProfile, error) {
	switch {
	case p != nil:
		if p.GetProfileType() != runtimeapi.SecurityProfile_Localhost && p.GetLocalhostRef() != "" {
			return nil, &FieldError{field, "LocalhostRef must only be set if ProfileType is Localhost"}
		}
		return p, nil
	case old == "":
		return nil, nil
	case old == "runtime/default" || old == "docker/default":
		return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault}, nil
	case old == "unconfined":
		return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Unconfined}, nil
	case strings.HasPrefix(old, "localhost/"):
		return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Localhost, LocalhostRef: strings.TrimPrefix(old, "localhost/")}, nil
	}
	return nil, &FieldError{field, fmt.Sprintf("invalid security profile %q", old)}
}

// SeccompFile is the file of the profile that c names; empty if it names none.
func SeccompFile(c *runtimeapi.ContainerConfig) (string, error) {
	sc := c.GetLinux().GetSecurityContext()
	p, err := Profile(seccompField, sc.GetSeccomp(), sc.GetSeccompProfilePath()) //nolint:staticcheck // older callers set it
	if err != nil || sc.GetPrivileged() || p.GetProfileType() != runtimeapi.SecurityProfile_Localhost {
		return "", err
	}
	return strings.TrimPrefix(p.GetLocalhostRef(), "localhost/"), nil
}

const seccompField = "linux.security_context.seccomp"

// seccomp fills in the profile, which depends on the capabilities that are
// there already. A privileged container has none.
func seccomp(in Input, s *specs.Spec) error {
	sc := in.security()
	p, err := Profile(seccompField, sc.GetSeccomp(), sc.GetSeccompProfilePath()) //nolint:staticcheck // older callers set it
	if err != nil || p == nil || sc.GetPrivileged() {
		return err
	}
	switch p.GetProfileType() {
	case runtimeapi.SecurityProfile_Unconfined:
		return nil
	case runtimeapi.SecurityProfile_RuntimeDefault:
		s.Linux.Seccomp, err = defaultSeccomp(s)
	case runtimeapi.SecurityProfile_Localhost:
		s.Linux.Seccomp, err = loadSeccomp(in.Seccomp, s)
	default:
		return &FieldError{seccompField, fmt.Sprintf("the profile type %d is unknown", p.GetProfileType())}
	}
	if err != nil {
		return &FieldError{seccompField, err.Error()}
	}
	return nil
}

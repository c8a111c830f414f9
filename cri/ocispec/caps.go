package ocispec

import (
	"slices"
	"strings"

	"github.com/moby/sys/capability"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// DefaultCapabilities are what a container has that asks for nothing.
var DefaultCapabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

const capsField = "linux.security_context.capabilities."

func capabilities(in Input, s *specs.Spec) error {
	sc := in.security()
	caps, err := Capabilities(sc.GetCapabilities(), in.Host.Capabilities)
	if err != nil {
		return err
	}
	ambient, err := capNames("add_ambient_capabilities", sc.GetCapabilities().GetAddAmbientCapabilities(), in.Host.Capabilities)
	if err != nil {
		return err
	}
	if sc.GetPrivileged() {
		caps = slices.Clone(in.Host.Capabilities)
	}
	for _, c := range ambient {
		if !slices.Contains(caps, c) {
			caps = append(caps, c)
		}
	}
	s.Process.Capabilities = &specs.LinuxCapabilities{
		Bounding: caps, Permitted: slices.Clone(caps), Effective: slices.Clone(caps),
		Inheritable: ambient, Ambient: slices.Clone(ambient),
	}
	return nil
}

// Capabilities is the default set, changed as c says: ALL is taken first, so
// that adding ALL and dropping CHOWN means all but CHOWN. A name that no kernel
// knows, or that is not in held, is an error.
func Capabilities(c *runtimeapi.Capability, held []string) ([]string, error) {
	add, err := capNames("add_capabilities", c.GetAddCapabilities(), held)
	if err != nil {
		return nil, err
	}
	drop, err := capNames("drop_capabilities", c.GetDropCapabilities(), nil)
	if err != nil {
		return nil, err
	}
	set := slices.Clone(DefaultCapabilities)
	if hasAll(c.GetAddCapabilities()) {
		set = slices.Clone(held)
	}
	if hasAll(c.GetDropCapabilities()) {
		set = nil
	}
	for _, a := range add {
		if !slices.Contains(set, a) {
			set = append(set, a)
		}
	}
	return slices.DeleteFunc(set, func(s string) bool { return slices.Contains(drop, s) }), nil
}

func hasAll(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, "ALL") })
}

// capNames are the names but ALL, checked. With held, each must be in it.
func capNames(field string, names, held []string) ([]string, error) {
	var out []string
	for _, n := range names {
		if strings.EqualFold(n, "ALL") {
			continue
		}
		name := "CAP_" + strings.TrimPrefix(strings.ToUpper(n), "CAP_")
		if !slices.Contains(known(), name) {
			return nil, &FieldError{capsField + field, "there is no capability " + n}
		}
		if held != nil && !slices.Contains(held, name) {
			return nil, &FieldError{capsField + field, name + " cannot be given: lifepod does not hold it itself"}
		}
		out = append(out, name)
	}
	return out, nil
}

func known() []string {
	var names []string
	for _, c := range capability.ListKnown() {
		names = append(names, "CAP_"+strings.ToUpper(c.String()))
	}
	return names
}

package ocispec

import (
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func allows(s *specs.LinuxSeccomp, name string) bool {
	return slices.ContainsFunc(s.Syscalls, func(c specs.LinuxSyscall) bool {
		return c.Action == specs.ActAllow && slices.Contains(c.Names, name) && len(c.Args) == 0
	})
}

// The default profile knows the capabilities that were given.
func TestDefaultSeccomp(t *testing.T) {
	in := good()
	sc(&in).Seccomp = &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault}
	s, err := Build(in)
	if err != nil || s.Linux.Seccomp == nil || s.Linux.Seccomp.DefaultAction != specs.ActErrno || !allows(s.Linux.Seccomp, "read") || allows(s.Linux.Seccomp, "mount") {
		t.Fatalf("%v %+v", err, s.Linux.Seccomp)
	}
	sc(&in).Capabilities = &runtimeapi.Capability{AddCapabilities: []string{"SYS_ADMIN"}}
	if s, err = Build(in); err != nil || !allows(s.Linux.Seccomp, "mount") {
		t.Errorf("with CAP_SYS_ADMIN mount is not allowed: %v", err)
	}
	sc(&in).Seccomp, sc(&in).SeccompProfilePath = nil, "runtime/default" //nolint:staticcheck // older callers set it
	if s, err = Build(in); err != nil || s.Linux.Seccomp == nil {
		t.Errorf("by the old field: %v", err)
	}
}

func TestLocalhostSeccomp(t *testing.T) {
	in := good()
	sc(&in).Seccomp = &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Localhost, LocalhostRef: "localhost//p.json"}
	if f, err := SeccompFile(in.Container); err != nil || f != "/p.json" {
		t.Errorf("file %q %v", f, err)
	}
	in.Seccomp = []byte(`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO"}]}`)
	s, err := Build(in)
	if err != nil || s.Linux.Seccomp.DefaultAction != specs.ActAllow || s.Linux.Seccomp.Syscalls[0].Names[0] != "mkdir" {
		t.Errorf("%v %+v", err, s)
	}
	in.Seccomp = []byte("{")
	if _, err := Build(in); err == nil {
		t.Error("a broken profile was taken")
	}
}

package ocispec

import (
	profiles "github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func defaultSeccomp(s *specs.Spec) (*specs.LinuxSeccomp, error) { return profiles.GetDefaultProfile(s) }

func loadSeccomp(body []byte, s *specs.Spec) (*specs.LinuxSeccomp, error) {
	return profiles.LoadProfile(string(body), s)
}

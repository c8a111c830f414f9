package containertest

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container"
)

// seccomps: a profile holds for the container and for execs; one that cannot be
// obeyed is refused.
func seccomps(s *suite) {
	calls := []string{"call", "getpid", "getpriority", "getpgid"}
	const want = "getpid ok\ngetpriority EPERM\ngetpgid ok\n"
	profile := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
		{Names: []string{"getpriority", "no_such_call"}, Action: specs.ActErrno},
	}}
	for _, privileges := range []bool{false, true} {
		spec := s.spec(calls...)
		spec.OCI.Linux.Seccomp, spec.OCI.Process.NoNewPrivileges = profile, !privileges
		s.startSpec(spec)
		s.stopped(spec.ID)
		if got := s.text(spec.Log, "stdout"); got != want {
			s.Errorf("no_new_privs %v: the container's calls gave %q, want %q", !privileges, got, want)
		}
		spec = s.spec("sleep", "1h")
		spec.OCI.Linux.Seccomp, spec.OCI.Process.NoNewPrivileges = profile, !privileges
		s.startSpec(spec)
		out, _, code := s.exec(spec.ID, container.Exec{Args: calls})
		if out != want || code != 0 {
			s.Errorf("no_new_privs %v: an exec's calls gave %d %q, want %q", !privileges, code, out, want)
		}
	}
	spec := s.spec("exit", "0")
	spec.OCI.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_WRONG"}
	if err := s.Runtime.Create(s.ctx, spec); err == nil {
		s.Error("an action that nobody knows was accepted")
		s.ok(s.Runtime.Delete(s.ctx, spec.ID))
	}
}

//go:build linux

package runc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	profiles "github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container"
)

// confined gives a spec of a testbox with capabilities and, if filter is set,
// the default profile.
func (p *place) confined(filter bool, args ...string) container.Spec {
	s := container.Spec{ID: "a", OCI: p.oci("a", append([]string{"/testbox"}, args...)...), Log: p.dir + "/logs/a.log"}
	caps := []string{"CAP_CHOWN", "CAP_KILL", "CAP_SETUID"}
	s.OCI.Process.Capabilities = &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps}
	if filter {
		p.profile(s.OCI)
	}
	return s
}

func (p *place) profile(o *specs.Spec) {
	p.t.Helper()
	var err error
	if o.Linux.Seccomp, err = profiles.GetDefaultProfile(o); err != nil {
		p.t.Fatal(err)
	}
}

var (
	seccompLines = regexp.MustCompile(`(?m)^(Seccomp\w*):.*\n`)
	ownLines     = regexp.MustCompile(`(?m)^(Name|State|Tgid|Ngid|Pid|PPid|NSp?t?gid|NSsid|NSpid|FDSize|Vm\w+|Hugetlb\w+|Rss\w+|Threads|Sig\w+|Shd\w+|\w*ctxt_switches|Cpus_\w+|Mems_\w+|x86_\w+|untag_mask|Seccomp\w*):.*\n`)
)

// identity is what a program's status says that does not change by itself, but
// for seccomp.
func identity(status string) string { return ownLines.ReplaceAllString(status, "") }

// mode is what a status says about seccomp.
func mode(status string) string { return strings.Join(seccompLines.FindAllString(status, -1), "") }

// What a program may and is stays the same under a filter, in the container's
// first process and in execs, whatever way the filter was installed.
func TestSeccompIdentity(t *testing.T) {
	for name, change := range map[string]func(*specs.Spec){
		"root": func(*specs.Spec) {},
		"user": func(s *specs.Spec) {
			s.Process.User = specs.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{7, 1001}}
		},
		"no_new_privs":      func(s *specs.Spec) { s.Process.NoNewPrivileges = true },
		"user no_new_privs": func(s *specs.Spec) { s.Process.NoNewPrivileges, s.Process.User.UID = true, 1000 },
		"ambient": func(s *specs.Spec) {
			s.Process.User.UID = 1000
			s.Process.Capabilities.Inheritable, s.Process.Capabilities.Ambient = []string{"CAP_KILL"}, []string{"CAP_KILL"}
		},
		"all capabilities":      func(s *specs.Spec) { s.Process.Capabilities = nil },
		"all capabilities user": func(s *specs.Spec) { s.Process.Capabilities, s.Process.User.UID = nil, 1000 },
		"no capabilities":       func(s *specs.Spec) { s.Process.Capabilities = &specs.LinuxCapabilities{} },
		"read-only root":        func(s *specs.Spec) { s.Root.Readonly = true },
		"user namespace": func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
			ids := []specs.LinuxIDMapping{{HostID: 100000, Size: 65536}}
			s.Linux.UIDMappings, s.Linux.GIDMappings = ids, ids
			s.Process.User = specs.User{UID: 1000, GID: 1000}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.usePrebuilt()
			r := p.open()
			var status [2][2]string
			for i := range status {
				spec := p.confined(i == 1, "read", "/proc/self/status")
				change(spec.OCI)
				p.startSpec(r, spec)
				p.awaitStop(r, "a")
				status[i][0] = logText(t, spec.Log)
				if err := errors.Join(r.Delete(context.Background(), "a"), os.Remove(spec.Log)); err != nil {
					t.Fatal(err)
				}
				spec.OCI.Process.Args = []string{"/testbox", "sleep", "1h"}
				p.startSpec(r, spec)
				status[i][1] = p.exec(r, nil, "read", "/proc/self/status")
				if got := p.exec(r, nil, "fds"); got != "descriptors [0 1 2]\n" {
					t.Errorf("an exec has %s", got)
				}
				if err := errors.Join(r.Delete(context.Background(), "a"), os.Remove(spec.Log)); err != nil {
					t.Fatal(err)
				}
			}
			for i, what := range []string{"the container", "an exec"} {
				if want, got := identity(status[0][i]), identity(status[1][i]); want != got || !strings.Contains(want, "CapEff:") {
					t.Errorf("%s without a filter:\n%s\nwith:\n%s", what, want, got)
				}
				if got := mode(status[1][i]); !strings.HasPrefix(got, "Seccomp:\t2\n") || got == mode(status[0][i]) {
					t.Errorf("%s has %q, and %q without a profile", what, got, mode(status[0][i]))
				}
			}
		})
	}
}

// logText is what a container wrote, without the log's own words.
func logText(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		if _, text, ok := strings.Cut(line, " F "); ok {
			out.WriteString(text)
		}
	}
	return out.String()
}

// The default profile lets through what programs need, and refuses what it is
// there for, by number and by argument.
func TestSeccompDefaultProfile(t *testing.T) {
	p := newPlace(t)
	r := p.open() // the tests' own binary is the supervisor
	p.startSpec(r, p.confined(true, "sleep", "1h"))
	const newUser = 0x10000000
	calls := []string{
		"getpid", "mkdirat,0xffffffffffffff9c,0", "mount", fmt.Sprint("unshare,", newUser), "keyctl,0", "reboot", "bpf",
		"clone3", "personality,0xffffffff", "personality,8", "personality,0x20008", "personality,16", "personality,0x1ffffffff",
		"socket,40,1", "socket,1,1", "socket,1099,1", "900",
	}
	want := []string{
		"ok", "EFAULT", "EPERM", "EPERM", "EPERM", "EPERM", "EPERM",
		"ENOSYS", "ok", "ok", "ok", "EPERM", "EPERM",
		"EPERM", "ok", "EAFNOSUPPORT", "ENOSYS",
	}
	lines := strings.Split(strings.TrimSpace(p.exec(r, nil, append([]string{"call"}, calls...)...)), "\n")
	if len(lines) != len(calls) {
		t.Fatalf("got %q", lines)
	}
	for i, line := range lines {
		if line != calls[i]+" "+want[i] {
			t.Errorf("got %q, want %s", line, want[i])
		}
	}
	if got := p.exec(r, nil, "userns", "exit", "0"); got != "userns EPERM\n" {
		t.Errorf("a user namespace: %q", got)
	}
	for _, args := range [][]string{{"/nothing"}, {"/notexec"}, {"/garbage"}} {
		code, err := r.Exec(context.Background(), "a", container.Exec{Args: args})
		var start *container.StartError
		if code != 128 || !errors.As(err, &start) || !strings.HasPrefix(err.Error(), "start container a: ") {
			t.Errorf("exec %s: %d %v", args, code, err)
		}
	}
}

// A strict profile does not hinder the way to the program.
func TestSeccompStrict(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	spec := p.confined(false, "call", "getpid", "mkdirat,0xffffffffffffff9c,0", "keyctl,0", "reboot", "bpf")
	zero, many := uint(0), uint(95)
	spec.OCI.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
		{Names: []string{"setuid", "setgroups", "capset", "keyctl", "no_such_call"}, Action: specs.ActErrno, ErrnoRet: &many},
		{Names: []string{"mkdirat"}, Action: specs.ActErrno, ErrnoRet: &zero},
		{Names: []string{"reboot"}, Action: specs.ActLog},
		{Names: []string{"bpf"}, Action: specs.ActKillProcess},
	}}
	spec.OCI.Process.NoNewPrivileges = true // else the setup would need what is refused
	p.startSpec(r, spec)
	st := p.awaitStop(r, "a")
	want := "getpid ok\nmkdirat,0xffffffffffffff9c,0 ok\nkeyctl,0 ENOTSUP\nreboot EPERM\n"
	if got := logText(t, spec.Log); got != want || st.ExitCode != 128+31 {
		t.Errorf("exit %d after %q, want 159 (SIGSYS) after %q", st.ExitCode, got, want)
	}
}

// A profile that cannot be obeyed is refused by its field, and leaves nothing.
func TestSeccompRefused(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	for want, profile := range map[string]*specs.LinuxSeccomp{
		`linux.seccomp: defaultAction: action "SCMP_ACT_X" is not known`: {DefaultAction: "SCMP_ACT_X"},
		"linux.seccomp: syscalls[0] (read): SCMP_ACT_NOTIFY is not supported": {
			DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActNotify}}},
		"linux.seccomp: syscalls[0] (read): args[0]: index 6": {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
			{Names: []string{"read"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Index: 6, Op: specs.OpEqualTo}}}}},
	} {
		spec := p.confined(false, "exit", "0")
		spec.OCI.Linux.Seccomp = profile
		err := r.Create(context.Background(), spec)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if all, err := r.List(context.Background()); len(all) != 0 || err != nil {
		t.Errorf("left %v %v", all, err)
	}
}

// A start error stays what it is under a filter.
func TestSeccompStartError(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	ctx := context.Background()
	for _, program := range []string{"/nothing", "/notexec", "/garbage"} {
		var texts [2]string
		for i := range texts {
			spec := p.confined(i == 1)
			spec.OCI.Process.Args = []string{program}
			if err := r.Create(ctx, spec); err != nil {
				t.Fatal(err)
			}
			var start *container.StartError
			if err := r.Start(ctx, "a"); !errors.As(err, &start) {
				t.Errorf("%s: %v", program, err)
			} else {
				texts[i] = err.Error()
			}
			if err := r.Delete(ctx, "a"); err != nil {
				t.Error(err)
			}
		}
		if texts[0] != texts[1] {
			t.Errorf("%s: %q, with a filter %q", program, texts[0], texts[1])
		}
	}
}

// The next supervisor confines execs too.
func TestSeccompAfterTakeover(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	p.startSpec(r, p.confined(true, "sleep", "1h"))
	p.killSupervisor()
	if got := mode(p.exec(r, nil, "read", "/proc/self/status")); !strings.HasPrefix(got, "Seccomp:\t2\n") {
		t.Errorf("an exec has %q", got)
	}
}

// Terminals come to confined programs as to others.
func TestSeccompTerminal(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	spec := p.confined(true, "size")
	spec.OCI.Process.Terminal, spec.OCI.Process.ConsoleSize = true, &specs.Box{Width: 61, Height: 17}
	p.startSpec(r, spec)
	p.awaitLog(spec, "size 61x17")
	var out strings.Builder
	code, err := r.Exec(context.Background(), "a", container.Exec{Args: []string{"/testbox", "read", "/proc/self/status"}, TTY: true, Stdout: &out})
	if got := strings.ReplaceAll(out.String(), "\r", ""); code != 0 || err != nil || !strings.HasPrefix(mode(got), "Seccomp:\t2\n") {
		t.Errorf("an exec with a terminal: %d %v %q", code, err, got)
	}
}

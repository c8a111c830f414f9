//go:build linux

package runc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc"
)

// exec runs a testbox in container a and returns its output.
func (p *place) exec(r *runc.Runtime, user *specs.User, args ...string) string {
	p.t.Helper()
	var out bytes.Buffer
	code, err := r.Exec(context.Background(), "a", container.Exec{Args: append([]string{"/testbox"}, args...), User: user, Stdout: &out, Stderr: &out})
	if err != nil || code != 0 {
		p.t.Errorf("exec %v: %d, %v: %s", args, code, err, out.String())
	}
	return out.String()
}

// /dev/stdout and /dev/stderr open again for root, for the container's user and
// for a second one that a process changed to.
func TestStdoutOpensAgain(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	set := []string{"CAP_SETUID", "CAP_SETGID"}
	for i, c := range []struct{ own, then uint32 }{{0, 0}, {0, 1234}, {0, 4321}, {1234, 1234}, {1234, 4321}} {
		for _, stream := range []string{"stdout", "stderr"} {
			id := fmt.Sprint(stream, i)
			spec := container.Spec{ID: id, OCI: p.oci(id, "/testbox", "as", fmt.Sprint(c.then), "append", "/dev/"+stream, "again"), Log: p.dir + "/logs/" + id}
			if c.own == c.then {
				spec.OCI.Process.Args = []string{"/testbox", "append", "/dev/" + stream, "again"}
			}
			spec.OCI.Process.User = specs.User{UID: c.own, GID: c.own}
			spec.OCI.Process.Capabilities = &specs.LinuxCapabilities{Bounding: set, Effective: set, Permitted: set, Inheritable: set, Ambient: set}
			p.startSpec(r, spec)
			st := p.awaitStop(r, id)
			if b, _ := os.ReadFile(spec.Log); st.ExitCode != 0 || !strings.HasSuffix(string(b), " "+stream+" F again\n") {
				t.Errorf("%s of a container of uid %d, by uid %d: %d, %q", stream, c.own, c.then, st.ExitCode, b)
			}
		}
	}
}

// What the spec says of the process is so.
func TestProcess(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	spec := container.Spec{ID: "a", OCI: p.oci("a", "/testbox", "read", "/proc/self/status"), Log: p.dir + "/logs/a.log"}
	o := spec.OCI
	o.Root.Readonly = true
	o.Hostname = "the-name"
	caps := []string{"CAP_CHOWN", "CAP_KILL"}
	low, high := -500, uint64(1<<30)
	o.Process.Capabilities = &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps}
	o.Process.NoNewPrivileges = true
	o.Process.OOMScoreAdj = &low // clamped where we may not
	o.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 77, Hard: 88}, {Type: "RLIMIT_CORE", Soft: high, Hard: high}}
	o.Linux.MaskedPaths = []string{"/proc/keys"}
	o.Linux.ReadonlyPaths = []string{"/proc/sys"}
	p.startSpec(r, spec)
	p.awaitStop(r, "a")
	b, err := os.ReadFile(spec.Log)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CapEff:\t0000000000000021\n", "CapBnd:\t0000000000000021\n", "NoNewPrivs:\t1\n"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("its status lacks %q", want)
		}
	}
	if err := r.Delete(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	o.Process.Args = []string{"/testbox", "sleep", "1h"}
	p.startSpec(r, spec)
	out := p.exec(r, nil, "read", "/proc/1/limits")
	if !strings.Contains(out, " 88                   files") || !strings.Contains(out, "Max core file size        1073741824           1073741824 ") {
		t.Errorf("limits are %s", out)
	}
	if out := p.exec(r, nil, "host"); out != "the-name\n" {
		t.Errorf("its hostname is %q", out)
	}
	if out := p.exec(r, nil, "read", "/proc/keys"); out != "" {
		t.Errorf("the masked file has %q", out)
	}
	for _, file := range []string{"/file", "/proc/sys/kernel/domainname"} {
		code, err := r.Exec(context.Background(), "a", container.Exec{Args: []string{"/testbox", "write", file, "x"}})
		if code != 99 || err != nil {
			t.Errorf("writing %s: %d, %v, want it to fail", file, code, err)
		}
	}
}

// What cannot be honoured is refused by name, and leaves nothing.
func TestRefused(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	for want, change := range map[string]func(*container.Spec){
		"seccomp: defau": func(s *container.Spec) { s.OCI.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_X"} },
		"lies outside":   func(s *container.Spec) { s.Log = "/etc/passwd.log" },
		"RLIMIT_NONE":    func(s *container.Spec) { s.OCI.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NONE"}} },
		"is a directory": func(s *container.Spec) { s.Log = p.dir + "/rootfs" },
		"no such file": func(s *container.Spec) {
			s.OCI.Mounts[0].Type, s.OCI.Mounts[0].Source = "bind", "/no/such"
			s.OCI.Mounts[0].Options = []string{"bind"}
		},
		"not a directory": func(s *container.Spec) { s.OCI.Process.Cwd = "/proc/version" },
		"memory limit":    func(s *container.Spec) { n := int64(1); s.OCI.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &n} },
	} {
		spec := container.Spec{ID: "a", OCI: p.oci("a", "/testbox", "exit", "0"), Log: p.dir + "/logs/a.log"}
		change(&spec)
		err := r.Create(context.Background(), spec)
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(want)) {
			t.Errorf("%s: %v", want, err)
		}
		if left, _ := filepath.Glob(p.opts.Run + "/*/a"); left != nil {
			t.Errorf("%s: left %v", want, left)
		}
		if left, _ := filepath.Glob(hierarchies() + "/lifepod-" + runc.RootID(p.dir) + "/a"); left != nil {
			t.Errorf("%s: left %v", want, left)
		}
	}
}

// A container that shares a PID namespace takes its processes along.
func TestSharedPIDNamespace(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	spec := container.Spec{ID: "a", OCI: p.oci("a", "/testbox", "child", "sleep", "1h"), Log: p.dir + "/logs/a.log"}
	spec.OCI.Linux.Namespaces = spec.OCI.Linux.Namespaces[1:]
	p.startSpec(r, spec)
	if st := p.awaitStop(r, "a"); st.ExitCode != 0 {
		t.Errorf("its state: %+v", st)
	}
	p.processes(0)
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if n := p.zombies(); n == 0 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("the supervisor has %d zombies", n)
		}
	}
}

// zombies counts the supervisor's dead children.
func (p *place) zombies() (n int) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	parent := fmt.Sprintf(" Z %d ", p.supervisor())
	for _, f := range files {
		if b, _ := os.ReadFile(f); bytes.Contains(b, []byte(parent)) {
			n++
		}
	}
	return n
}

// The supervisor is on its own.
func TestSupervisorStandsAlone(t *testing.T) {
	leak, err := os.CreateTemp("", "inherited")
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(leak.Name())
	fd, err := unix.Dup(int(leak.Fd())) // without close-on-exec, as careless code leaves it
	leak.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	p.start(r, "a", "sleep", "1h")
	pid := p.supervisor()
	proc := func(name string) string {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, v := range strings.Split(strings.Trim(proc("environ"), "\x00"), "\x00") {
		if v != "" && !strings.HasPrefix(v, "LIFEPOD_") {
			t.Errorf("its environment has %q", v)
		}
	}
	if cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); cwd != "/" {
		t.Errorf("its working directory is %q", cwd)
	}
	if sid, err := unix.Getsid(pid); err != nil || sid == must(unix.Getsid(0)) {
		t.Errorf("its session is %d, %v", sid, err)
	}
	if !strings.Contains(proc("status"), "Umask:\t0022\n") {
		t.Error("its umask is not 0022")
	}
	for _, line := range strings.Split(strings.TrimSpace(proc("cgroup")), "\n") {
		if !strings.HasSuffix(line, ":/lifepod-"+runc.RootID(p.dir)+"/supervisor") {
			t.Errorf("it is in cgroup %s", line)
		}
	}
	fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	for _, f := range fds {
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, f.Name()))
		if n := f.Name(); len(n) == 1 && n < "3" && to != "/dev/null" || strings.Contains(to, "inherited") {
			t.Errorf("its descriptor %s is %s", n, to)
		}
	}
	if fi, err := os.Stat(p.opts.Run + "/supervisor.sock"); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("its socket: %v, %v", fi, err)
	}
	st := p.state(r, "a")
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", st.Pid))
	if err != nil || string(b) != "0\n" {
		t.Errorf("the container's oom_score_adj is %q, %v", b, err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Garbage on the socket ends that connection and nothing else.
func TestHostileClients(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	p.start(r, "a", "sleep", "1h")
	one := p.supervisor()
	for _, b := range []string{"", "GET / HTTP/1.1\r\n\r\n", "\xff\xff\xff\xff\xff", "\x00\x00\x00\x02\x00{}", "\x00\x00\x00\x40\x00{\"op\":\"hello\",\"body\":{\"version\":1}}" + strings.Repeat(" ", 27) + "\x00\x00\x00\x0c\x00{\"op\":\"list\"}"} {
		c, err := net.Dial("unix", p.opts.Run+"/supervisor.sock")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(b)); err != nil {
			t.Error(err)
		}
		c.Close()
	}
	if st := p.state(r, "a"); st.Status != container.Running {
		t.Errorf("the container: %+v", st)
	}
	if now := p.supervisor(); now != one {
		t.Errorf("supervisor %d followed %d", now, one)
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]runc.Options{
		"relative root":   {Root: "x"},
		"root is /":       {Root: "/"},
		"dots":            {Root: "/a/../b"},
		"long run":        {Root: "/a", Run: "/" + strings.Repeat("x", 100)},
		"relative cgroup": {Root: "/a", CgroupRoot: "b"},
		"relative logs":   {Root: "/a", LogDirs: []string{"b"}},
	} {
		if _, err := runc.Open(o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	r, err := runc.Open(runc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	if _, err := r.State(context.Background(), "a"); err == nil {
		t.Error("a closed runtime answers")
	}
}

// Looking starts no supervisor, and a missing program is said.
func TestWithoutSupervisor(t *testing.T) {
	p := newPlace(t)
	p.opts.Supervisor = p.dir + "/none"
	r := p.open()
	ctx := context.Background()
	if all, err := r.List(ctx); err != nil || len(all) > 0 {
		t.Errorf("list: %v, %v", all, err)
	}
	if _, err := r.State(ctx, "a"); !errors.Is(err, container.ErrNotFound) {
		t.Errorf("state: %v", err)
	}
	if err := errors.Join(r.Delete(ctx, "a")); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := os.Stat(p.opts.Run); err == nil {
		t.Error("looking made the run directory")
	}
	err := r.Create(ctx, container.Spec{ID: "a", OCI: p.oci("a", "/testbox")})
	if err == nil || !strings.Contains(err.Error(), p.opts.Supervisor) {
		t.Errorf("create: %v, want the program's name", err)
	}
	p.opts.Supervisor = "/bin/true" // which is no supervisor
	err = p.open().Create(ctx, container.Spec{ID: "a", OCI: p.oci("a", "/testbox")})
	if err == nil || !strings.Contains(err.Error(), "/bin/true ended before it was ready") {
		t.Errorf("create: %v", err)
	}
}

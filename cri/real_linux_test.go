package cri_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lifepod/lifepod/cri/critest"
	"github.com/lifepod/lifepod/cri/stream"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestSuiteOnKernel(t *testing.T) {
	p := newPlace(t)
	critest.Run(t, func(t *testing.T) critest.Env {
		r := p.mustOpen(t)
		return critest.Env{Runtime: r, Images: r, Image: p.ref, Program: "/task", CgroupParent: p.parent(), LogDir: p.logs()}
	})
}

// What a program in a container sees is what the messages said.
func TestInsideOnKernel(t *testing.T) {
	p := newPlace(t)
	r := p.mustOpen(t)
	ctx := t.Context()
	sb := must[string](t)(r.RunPodSandbox(ctx, p.config("inside"), ""))
	t.Cleanup(func() { must[int](t)(0, r.RemovePodSandbox(context.Background(), sb)) })
	src := filepath.Join(p.dir, "src")
	if err := errors.Join(os.Mkdir(src, 0o755), os.WriteFile(filepath.Join(src, "file"), []byte("bound"), 0o644)); err != nil {
		t.Fatal(err)
	}
	c := p.container("main", "sleep")
	c.WorkingDir = "/made/here"
	c.Linux.SecurityContext.RunAsUsername = "app"
	c.Linux.SecurityContext.SupplementalGroups = []int64{7}
	c.Mounts = []*runtimeapi.Mount{{HostPath: src, ContainerPath: "/bound", Readonly: true, RecursiveReadOnly: true}}
	c.Envs = []*runtimeapi.KeyValue{{Key: "WORD", Value: []byte("a b")}}
	id := must[string](t)(r.CreateContainer(ctx, sb, c, nil))
	must[int](t)(0, r.StartContainer(ctx, id))
	in := func(words ...string) string {
		out, errs, err := r.ExecSync(ctx, id, append([]string{"/task"}, words...), time.Minute)
		if err != nil {
			return err.Error() + string(errs) + string(out)
		}
		return string(out)
	}
	for want, words := range map[string][]string{
		"1000 1001 [7 1001 2000] /made/here pod-host": {"id"},
		"bound":                           {"read", "/bound/file"},
		"read-only file system":           {"write", "/bound/file"},
		"hostname: read-only file system": {"write", "/proc/sys/kernel/hostname"},
		"from the image":                  {"read", "/data/link"},
		"nameserver 192.0.2.53":           {"read", "/etc/resolv.conf"},
		"pod-host":                        {"read", "/etc/hostname"},
		"77":                              {"read", "/proc/sys/net/core/somaxconn"},
		"0\t2147483647":                   {"read", "/proc/sys/net/ipv4/ping_group_range"},
		"NoNewPrivs:\t0":                  {"read", "/proc/self/status"},
		"900":                             {"read", "/proc/self/oom_score_adj"},
		"shm /dev/shm tmpfs rw,relatime,size=65536k": {"read", "/proc/self/mounts"},
		"50000\n":  {"read", "/proc/self/timerslack_ns"},
		"WORD=a b": {"env"},
	} {
		if got := in(words...); !strings.Contains(got, want) {
			t.Errorf("%v: %q, want %q", words, got, want)
		}
	}
	if got := in("read", "/proc/interrupts"); got != "" {
		t.Errorf("a masked file has %q", got)
	}
	st := must[*runtimeapi.ContainerStatusResponse](t)(r.ContainerStatus(ctx, id, true))
	if u := st.GetStatus().GetUser().GetLinux(); u.GetUid() != 1000 || u.GetGid() != 1001 || st.GetStatus().GetMounts()[0].GetHostPath() != src {
		t.Errorf("status: %v", st)
	}
	stats := must[*runtimeapi.PodSandboxStats](t)(r.PodSandboxStats(ctx, sb))
	if len(stats.GetLinux().GetContainers()) != 1 || stats.GetLinux().GetContainers()[0].GetMemory().GetUsageBytes().GetValue() == 0 || stats.GetLinux().GetNetwork().GetDefaultInterface().GetName() != "eth0" {
		t.Errorf("stats: %v", stats)
	}
	must[int](t)(0, r.UpdateContainerResources(ctx, id, &runtimeapi.ContainerResources{Linux: &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 96 << 20}}))
	stats = must[*runtimeapi.PodSandboxStats](t)(r.PodSandboxStats(ctx, sb))
	if m := stats.GetLinux().GetContainers()[0].GetMemory(); m.GetAvailableBytes().GetValue() < 64<<20 {
		t.Errorf("after the update %v is available", m.GetAvailableBytes())
	}
}

// Two containers share the pod's PID namespace: they see each other, and the
// holder is the first process.
func TestSharedPIDOnKernel(t *testing.T) {
	p := newPlace(t)
	r := p.mustOpen(t)
	ctx := t.Context()
	cfg := p.config("shared")
	cfg.Linux.CgroupParent = "" // and a parent of the sandbox's own
	sb := must[string](t)(r.RunPodSandbox(ctx, cfg, ""))
	t.Cleanup(func() { must[int](t)(0, r.RemovePodSandbox(context.Background(), sb)) })
	var ids []string
	for _, name := range []string{"a", "b"} {
		c := p.container(name, "sleep")
		c.Linux.SecurityContext.NamespaceOptions.Pid = runtimeapi.NamespaceMode_POD
		id := must[string](t)(r.CreateContainer(ctx, sb, c, nil))
		must[int](t)(0, r.StartContainer(ctx, id))
		ids = append(ids, id)
	}
	out, _, err := r.ExecSync(ctx, ids[1], []string{"/task", "read", "/proc/1/cmdline"}, time.Minute)
	if err != nil || strings.TrimRight(string(out), "\x00") != "/hold" {
		t.Errorf("the first process is %q, %v", out, err)
	}
	if _, _, err := r.ExecSync(ctx, ids[0], []string{"/task", "await"}, time.Minute); err != nil {
		t.Error(err)
	}
	must[int](t)(0, r.StopContainer(ctx, ids[0], 30))
	if st := must[*runtimeapi.ContainerStatusResponse](t)(r.ContainerStatus(ctx, ids[0], false)); st.GetStatus().GetExitCode() != 143 {
		t.Errorf("stopped: %v", st)
	}
	debug := p.container("debug", "sleep")
	debug.Linux.SecurityContext.NamespaceOptions = &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_TARGET, TargetId: ids[1]}
	id := must[string](t)(r.CreateContainer(ctx, sb, debug, nil))
	must[int](t)(0, r.StartContainer(ctx, id))
	out, _, err = r.ExecSync(ctx, id, []string{"/task", "read", "/proc/1/cmdline"}, time.Minute)
	if err != nil || strings.TrimRight(string(out), "\x00") != "/hold" {
		t.Errorf("the target's first process is %q, %v", out, err)
	}
}

// A port of the pod is reached, and a stream of an exec ends with its input.
func TestStreamsOnKernel(t *testing.T) {
	p := newPlace(t)
	r := p.mustOpen(t)
	ctx := t.Context()
	sb := must[string](t)(r.RunPodSandbox(ctx, p.config("streams"), ""))
	t.Cleanup(func() { must[int](t)(0, r.RemovePodSandbox(context.Background(), sb)) })
	id := must[string](t)(r.CreateContainer(ctx, sb, p.container("main", "serve", "8080"), nil))
	must[int](t)(0, r.StartContainer(ctx, id))
	if _, _, err := r.ExecSync(ctx, id, []string{"/task", "await"}, time.Minute); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	code, err := r.ExecStream(ctx, id, stream.ExecOptions{Cmd: []string{"/task", "cat"}, Stdin: strings.NewReader("hi"), Stdout: &out})
	if code != 0 || err != nil || out.String() != "hi" {
		t.Errorf("exec: %d %v %q", code, err, out.String())
	}
	ours, theirs := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- r.PortForwardStream(ctx, sb, 8080, theirs) }()
	b, err := io.ReadAll(ours)
	if err != nil || string(b) != "hello from the pod" {
		t.Errorf("port forward: %q %v", b, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if st := must[*runtimeapi.ContainerStatusResponse](t)(r.ContainerStatus(ctx, id, false)); st.GetStatus().GetState() != runtimeapi.ContainerState_CONTAINER_RUNNING {
		t.Errorf("status: %v", st)
	}
}

// The runtime's default profile confines the container and its execs; a
// container without one, and a privileged one, go free.
func TestSeccompOnKernel(t *testing.T) {
	p := newPlace(t)
	r := p.mustOpen(t)
	ctx := t.Context()
	cfg := p.config("seccomp")
	cfg.Linux.SecurityContext.Privileged = true // some containers are
	sb := must[string](t)(r.RunPodSandbox(ctx, cfg, ""))
	t.Cleanup(func() { must[int](t)(0, r.RemovePodSandbox(context.Background(), sb)) })
	run := func(name string, sc func(*runtimeapi.LinuxContainerSecurityContext)) (first, exec string) {
		c := p.container(name, "sleep")
		sc(c.Linux.SecurityContext)
		id := must[string](t)(r.CreateContainer(ctx, sb, c, nil))
		must[int](t)(0, r.StartContainer(ctx, id))
		read := func(file string) string {
			out, errs, err := r.ExecSync(ctx, id, []string{"/task", "read", file}, time.Minute)
			if err != nil {
				t.Fatalf("%s: %v %s", name, err, errs)
			}
			_, mode, _ := strings.Cut(string(out), "\nSeccomp")
			mode, _, _ = strings.Cut(mode, "\nSpec")
			return mode
		}
		return read("/proc/1/status"), read("/proc/self/status")
	}
	free, _ := run("free", func(*runtimeapi.LinuxContainerSecurityContext) {})
	profile := func(kind runtimeapi.SecurityProfile_ProfileType) *runtimeapi.SecurityProfile {
		return &runtimeapi.SecurityProfile{ProfileType: kind}
	}
	for name, c := range map[string]struct {
		confined bool
		sc       func(*runtimeapi.LinuxContainerSecurityContext)
	}{
		"default": {true, func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.Seccomp = profile(runtimeapi.SecurityProfile_RuntimeDefault)
		}},
		"default-nnp": {true, func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.Seccomp, sc.NoNewPrivs = profile(runtimeapi.SecurityProfile_RuntimeDefault), true
		}},
		"old": {true, func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.SeccompProfilePath = "runtime/default" //nolint:staticcheck // it is still honoured
		}},
		"unconfined": {false, func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.Seccomp = profile(runtimeapi.SecurityProfile_Unconfined)
		}},
		"privileged": {false, func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.Seccomp, sc.Privileged = profile(runtimeapi.SecurityProfile_RuntimeDefault), true
		}},
	} {
		first, exec := run(name, c.sc)
		if first != exec || c.confined != (strings.HasPrefix(first, ":\t2\n") && first != free) || !c.confined && first != free {
			t.Errorf("%s: the container has %q, an exec %q; without any profile %q", name, first, exec, free)
		}
	}
}

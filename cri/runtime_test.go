package cri

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifepod/lifepod/cri/stream"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestSandboxParts(t *testing.T) {
	w := newWorld(t)
	r := w.open(t)
	ctx := context.Background()
	c := sandboxConfig()
	c.DnsConfig = &runtimeapi.DNSConfig{Servers: []string{"1.1.1.1", "8.8.8.8"}, Searches: []string{"a.b", "c"}, Options: []string{"ndots:5"}}
	c.PortMappings = []*runtimeapi.PortMapping{{HostPort: 8080, ContainerPort: 80, Protocol: runtimeapi.Protocol_UDP, HostIp: "127.0.0.1"}, {ContainerPort: 99}}
	c.Annotations = map[string]string{"kubernetes.io/egress-bandwidth": "10M"}
	c.Linux.Sysctls = map[string]string{"net/core/somaxconn": "7", "net.ipv4.ping_group_range": "1 1"}
	id, err := r.RunPodSandbox(ctx, c, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		fileHostname: "host\n", fileResolv: "search a.b c\nnameserver 1.1.1.1\nnameserver 8.8.8.8\noptions ndots:5\n",
	} {
		if b, _ := os.ReadFile(r.sandboxes.path(id, name)); string(b) != want {
			t.Errorf("%s is %q, want %q", name, b, want)
		}
	}
	a := w.net.attached[id]
	if len(a.Ports) != 1 || a.Ports[0].Protocol != "udp" || a.Ports[0].HostPort != 8080 || a.Ports[0].HostIP.String() != "127.0.0.1" || a.Bandwidth.Egress != 1e7 || a.Pod.UID != "u" || a.CgroupPath != "/pods/u" {
		t.Errorf("attachment: %+v", a)
	}
	if o := w.ns.last; o.Hostname != "host" || o.Sysctls["net.core.somaxconn"] != "7" || o.Sysctls["net.ipv4.ping_group_range"] != "1 1" || o.Sysctls["net.ipv4.ip_unprivileged_port_start"] != "0" {
		t.Errorf("namespace options: %+v", o)
	}
	st, err := r.PodSandboxStatus(ctx, id, true)
	if err != nil || st.GetStatus().GetNetwork().GetIp() != "10.1.2.3" || st.GetStatus().GetNetwork().GetAdditionalIps()[0].GetIp() != "fd00::3" || !strings.Contains(st.GetInfo()["info"], "10M") {
		t.Errorf("status: %v %v", st, err)
	}
	// A namespace that someone unpinned makes the sandbox not ready.
	if err := os.Remove(filepath.Join(r.nsDir(id), "net")); err != nil {
		t.Fatal(err)
	}
	if st, _ := r.PodSandboxStatus(ctx, id, false); st.GetStatus().GetState() != runtimeapi.PodSandboxState_SANDBOX_NOTREADY {
		t.Error("a sandbox without its namespace is ready")
	}
}

func TestHostNamespaces(t *testing.T) {
	w := newWorld(t)
	r := w.open(t)
	c := sandboxConfig()
	c.Linux.SecurityContext.NamespaceOptions = &runtimeapi.NamespaceOption{Network: runtimeapi.NamespaceMode_NODE, Ipc: runtimeapi.NamespaceMode_NODE, Pid: runtimeapi.NamespaceMode_NODE}
	id, err := r.RunPodSandbox(context.Background(), c, "")
	if err != nil {
		t.Fatal(err)
	}
	cc := containerConfig("c", "sleep")
	cc.Linux.SecurityContext.NamespaceOptions = c.Linux.SecurityContext.NamespaceOptions
	s := w.rt.specOf(startContainer(t, r, id, cc))
	if len(s.Linux.Namespaces) != 1 || s.Linux.Namespaces[0].Type != specs.MountNamespace {
		t.Errorf("namespaces %v, want a mount namespace only", s.Linux.Namespaces)
	}
	if i := slices.IndexFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == "/dev/shm" }); s.Mounts[i].Source != "/dev/shm" {
		t.Errorf("/dev/shm is %v", s.Mounts[i])
	}
	if st, _ := r.PodSandboxStatus(context.Background(), id, false); st.GetStatus().GetState() != runtimeapi.PodSandboxState_SANDBOX_READY || st.GetStatus().GetNetwork().GetIp() != "" || w.net.count() != 0 {
		t.Errorf("host network: %v", st)
	}
}

// Containers that share the pod's PID namespace get a holder, once.
func TestHolder(t *testing.T) {
	w := newWorld(t)
	r := w.open(t)
	ctx := context.Background()
	sb := runSandbox(t, r)
	shared := func(name string) string {
		c := containerConfig(name, "sleep")
		c.Linux.SecurityContext.NamespaceOptions = nil
		s := w.rt.specOf(startContainer(t, r, sb, c))
		for _, n := range s.Linux.Namespaces {
			if n.Type == specs.PIDNamespace {
				return n.Path
			}
		}
		return ""
	}
	a, b := shared("a"), shared("b")
	if a == "" || a != b || !strings.HasPrefix(a, "/proc/1") {
		t.Errorf("PID namespaces %q and %q, want the holder's", a, b)
	}
	h := w.rt.specOf(sb)
	exe, err := os.ReadFile(filepath.Join(h.Root.Path, "hold"))
	if err != nil || !bytes.HasPrefix(exe, []byte("\x7fELF")) || h.Linux.CgroupsPath != "/pods/u/"+sb {
		t.Errorf("holder: %v %v", err, h)
	}
	if err := w.rt.Signal(ctx, sb, sigkill); err != nil {
		t.Fatal(err)
	}
	if st, _ := r.PodSandboxStatus(ctx, sb, false); st.GetStatus().GetState() != runtimeapi.PodSandboxState_SANDBOX_NOTREADY {
		t.Error("the sandbox is ready without its holder")
	}
	if err := r.RemovePodSandbox(ctx, sb); err != nil {
		t.Fatal(err)
	}
	w.wantEmpty(t)
}

func TestTargetPID(t *testing.T) {
	w := newWorld(t)
	r := w.open(t)
	sb := runSandbox(t, r)
	target := startContainer(t, r, sb, containerConfig("target", "sleep"))
	c := containerConfig("debug", "sleep")
	c.Linux.SecurityContext.NamespaceOptions = &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_TARGET, TargetId: target}
	s := w.rt.specOf(startContainer(t, r, sb, c))
	if !slices.Contains(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.PIDNamespace, Path: "/proc/1000/ns/pid"}) {
		t.Errorf("namespaces %v", s.Linux.Namespaces)
	}
}

func TestOwnCgroup(t *testing.T) {
	w := newWorld(t)
	r := w.open(t)
	c := sandboxConfig()
	c.Linux.CgroupParent = ""
	id, err := r.RunPodSandbox(context.Background(), c, "")
	if err != nil {
		t.Fatal(err)
	}
	if !w.cgroups.made["/lifepod/"+id] {
		t.Errorf("cgroups %v", w.cgroups.made)
	}
	if err := r.RemovePodSandbox(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	w.wantEmpty(t)
}

// The image's volume is filled from the image; one that a mount covers is not.
func TestVolumes(t *testing.T) {
	w := newWorld(t)
	r := w.open(t)
	c := containerConfig("c", "sleep")
	c.Mounts = []*runtimeapi.Mount{{HostPath: "/h", ContainerPath: "/etc/hosts"}}
	id := startContainer(t, r, runSandbox(t, r), c)
	rec, _ := r.containers.get(id)
	if len(rec.Volumes) != 1 || rec.Volumes[0].ContainerPath != "/data" {
		t.Fatalf("volumes %v", rec.Volumes)
	}
	if b, err := os.ReadFile(filepath.Join(rec.Volumes[0].HostPath, "old")); string(b) != "from the image" {
		t.Errorf("the volume has %q, %v", b, err)
	}
	s := w.rt.specOf(id)
	if s.Process.User.UID != 1000 || s.Process.User.GID != 1001 || !slices.Equal(s.Process.User.AdditionalGids, []uint32{1001, 2000}) {
		t.Errorf("user %+v", s.Process.User)
	}
	if s.Process.Cwd != "/work" || !slices.Equal(s.Process.Args, []string{"/task", "sleep"}) {
		t.Errorf("cwd %q args %q", s.Process.Cwd, s.Process.Args)
	}
}

func TestStreams(t *testing.T) {
	w := newWorld(t)
	r := w.open(t)
	ctx := context.Background()
	c := containerConfig("c", "sleep")
	c.Stdin = true
	sb := runSandbox(t, r)
	id := startContainer(t, r, sb, c)
	var out bytes.Buffer
	sizes := make(chan stream.Size, 1)
	sizes <- stream.Size{Width: 80, Height: 24}
	code, err := r.ExecStream(ctx, id, stream.ExecOptions{Cmd: []string{"/task", "cat"}, TTY: true, Stdin: strings.NewReader("hi"), Stdout: &out, Resize: sizes})
	if code != 0 || err != nil || out.String() != "hi" {
		t.Errorf("exec: %d %v %q", code, err, out.String())
	}
	out.Reset()
	if err := r.AttachStream(ctx, id, stream.AttachOptions{Stdin: strings.NewReader("there"), Stdout: &out}); err != nil || out.String() != "there" {
		t.Errorf("attach: %v %q", err, out.String())
	}
	quiet := startContainer(t, r, sb, containerConfig("quiet", "sleep"))
	if err := r.AttachStream(ctx, quiet, stream.AttachOptions{Stdin: strings.NewReader("")}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("stdin of a container without: %v", err)
	}
	if err := r.ReopenContainerLog(ctx, id); err != nil || w.rt.reopens != 1 {
		t.Errorf("reopen: %v", err)
	}
}

// On the node's network the port is this process's own.
func TestPortForward(t *testing.T) {
	w := newWorld(t)
	r := w.open(t)
	c := sandboxConfig()
	c.Linux.SecurityContext.NamespaceOptions.Network = runtimeapi.NamespaceMode_NODE
	id, err := r.RunPodSandbox(context.Background(), c, "")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		b, _ := io.ReadAll(conn) // until the caller's side ends
		_, _ = conn.Write(append([]byte("got "), b...))
		conn.Close()
	}()
	in, theirs := io.Pipe()
	reply := &pipeConn{Reader: in, out: make(chan string, 1)}
	ended := make(chan error, 1)
	go func() {
		ended <- r.PortForwardStream(context.Background(), id, uint16(l.Addr().(*net.TCPAddr).Port), reply)
	}()
	_, _ = theirs.Write([]byte("ping"))
	theirs.Close()
	if err := <-ended; err != nil || <-reply.out != "got ping" {
		t.Errorf("forward: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.PortForwardStream(ctx, id, 1, reply); err == nil {
		t.Error("a forward to a closed port succeeded")
	}
}

type pipeConn struct {
	io.Reader
	b    bytes.Buffer
	out  chan string
	once bool
}

func (p *pipeConn) Write(b []byte) (int, error) { return p.b.Write(b) }
func (p *pipeConn) Close() error {
	if !p.once {
		p.once = true
		p.out <- p.b.String()
	}
	return nil
}

// A server address says which host alone gets the credentials, as containerd
// reads it: a name without a scheme is no host's.
func TestServerAddress(t *testing.T) {
	w := newWorld(t)
	r := w.open(t)
	for address, want := range map[string]Auth{
		"":                                   {Username: "user", Password: "word"},
		"https://registry.example":           {Username: "user", Password: "word", Host: "registry.example"},
		"http://registry.example:5000/v2/":   {Username: "user", Password: "word", Host: "registry.example:5000"},
		"https://me:secret@registry.example": {Username: "user", Password: "word", Host: "registry.example"},
		"registry.example":                   {},
		"registry.example:5000":              {},
		"https:///v2":                        {},
	} {
		_, err := r.PullImage(t.Context(), &runtimeapi.ImageSpec{Image: fakeRef}, &runtimeapi.AuthConfig{Username: "user", Password: "word", ServerAddress: address}, nil)
		if err != nil || w.images.auth != want {
			t.Errorf("%q: %+v, %v", address, w.images.auth, err)
		}
	}
	_, err := r.PullImage(t.Context(), &runtimeapi.ImageSpec{Image: fakeRef}, &runtimeapi.AuthConfig{IdentityToken: "t", RegistryToken: "r", Auth: "c2VjcmV0", ServerAddress: "https://a"}, nil)
	if want := (Auth{IdentityToken: "t", RegistryToken: "r", Host: "a"}); err != nil || w.images.auth != want {
		t.Errorf("tokens: %+v, %v", w.images.auth, err)
	}
	_, err = r.PullImage(t.Context(), &runtimeapi.ImageSpec{Image: fakeRef}, &runtimeapi.AuthConfig{Username: "u", ServerAddress: "https://secret@%zz"}, nil)
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "auth.server_address") || strings.Contains(err.Error(), "secret") {
		t.Errorf("no URL: %v", err)
	}
}

func TestImageService(t *testing.T) {
	w := newWorld(t)
	r := w.open(t)
	ctx := context.Background()
	id, err := r.PullImage(ctx, &runtimeapi.ImageSpec{Image: fakeRef}, &runtimeapi.AuthConfig{Auth: "dXNlcjpwYTpzcw=="}, nil)
	if err != nil || id != w.images.img.ID.String() || w.images.auth != (Auth{Username: "user", Password: "pa:ss"}) {
		t.Errorf("pull: %q %v %+v", id, err, w.images.auth)
	}
	_, err = r.PullImage(ctx, &runtimeapi.ImageSpec{Image: fakeRef}, &runtimeapi.AuthConfig{Auth: "c2VjcmV0"}, nil)
	if status.Code(err) != codes.InvalidArgument || strings.Contains(err.Error(), "c2V") {
		t.Errorf("auth without a colon: %v", err)
	}
	if _, err := r.PullImage(ctx, &runtimeapi.ImageSpec{Image: "none"}, nil, nil); status.Code(err) != codes.NotFound {
		t.Errorf("pull of nothing: %v", err)
	}
	st, err := r.ImageStatus(ctx, &runtimeapi.ImageSpec{Image: fakeRef}, true)
	if err != nil || st.GetImage().GetUsername() != "app" || st.GetImage().GetUid() != nil || !strings.Contains(st.GetInfo()["info"], "/task") {
		t.Errorf("status: %v %v", st, err)
	}
	if err := r.RemoveImage(ctx, &runtimeapi.ImageSpec{Image: fakeRef}); err != nil {
		t.Error(err)
	}
	if l, err := r.ListImages(ctx, &runtimeapi.ImageFilter{Image: &runtimeapi.ImageSpec{Image: fakeRef}}); err != nil || len(l) != 0 {
		t.Errorf("after the removal: %v %v", l, err)
	}
}

func TestStats(t *testing.T) {
	w := newWorld(t)
	r := w.open(t)
	ctx := context.Background()
	sb := runSandbox(t, r)
	id := startContainer(t, r, sb, containerConfig("c", "sleep"))
	startContainer(t, r, sb, containerConfig("done", "exit", "0"))
	s, err := r.ContainerStats(ctx, id)
	if err != nil || s.GetCpu().GetUsageCoreNanoSeconds().GetValue() != 5e9 || s.GetMemory().GetAvailableBytes().GetValue() != 940 || s.GetCpu().GetPsi().GetSome().GetTotal() != 7000 {
		t.Errorf("container: %v %v", s, err)
	}
	p, err := r.PodSandboxStats(ctx, sb)
	if err != nil || len(p.GetLinux().GetContainers()) != 1 || p.GetLinux().GetProcess().GetProcessCount().GetValue() != 3 {
		t.Errorf("pod: %v %v", p, err)
	}
	if all, err := r.ListPodSandboxStats(ctx, nil); err != nil || len(all) != 1 {
		t.Errorf("list: %v %v", all, err)
	}
	got := parseNetDev("Inter-| Receive\n face |bytes\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0:   10 2 3 0 0 0 0 0 20 5 6 0 0 0 0 0\n bad: 1\n")
	if len(got) != 1 || got[0].GetName() != "eth0" || got[0].GetRxBytes().GetValue() != 10 || got[0].GetTxErrors().GetValue() != 6 {
		t.Errorf("net/dev: %v", got)
	}
}

func TestSignals(t *testing.T) {
	for name, want := range map[string]int{"SIGTERM": 15, "term": 15, "9": 9, "RTMIN+3": 37, "SIGRTMAX-1": 63, "SIGRTMIN": 34, "SIGPOLL": 29, "SIGCLD": 17} {
		if got, err := parseSignal(name); err != nil || int(got) != want {
			t.Errorf("%s: %d %v, want %d", name, got, err, want)
		}
	}
	for _, name := range []string{"", "0", "65", "SIGNOPE", "RTMIN+99", "RTMIN+x", "-3"} {
		if got, err := parseSignal(name); err == nil {
			t.Errorf("%q is taken for %d", name, got)
		}
	}
	for v := range runtimeapi.Signal_name { // each of the protocol's leads there and back
		s := runtimeapi.Signal(v)
		n, err := parseSignal(signalName(s))
		if err != nil {
			t.Errorf("%s: %v", s, err)
		}
		if back, err := parseSignal(signalName(criSignal(signalName(s)))); err != nil || back != n {
			t.Errorf("%s comes back as %v %v", s, back, err)
		}
	}
}

// A reader that does not read is cut off, and hinders nobody.
func TestSlowReader(t *testing.T) {
	var h hub
	hints, leave := h.read()
	defer leave()
	for range maxHints + 1 {
		h.publish(hint{id: "x"})
	}
	n := 0
	for range hints {
		n++
	}
	if n != maxHints {
		t.Errorf("read %d hints, want %d and the end", n, maxHints)
	}
	w := newWorld(t)
	r := w.open(t)
	r.Close(context.Background())
	err := r.GetContainerEvents(context.Background(), make(chan *runtimeapi.ContainerEventResponse), nil)
	if status.Code(err) != codes.Unavailable {
		t.Errorf("events of a closed runtime: %v", err)
	}
}

func TestKeyedLock(t *testing.T) {
	var k keyed
	unlock, err := k.lock(context.Background(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, err := k.lock(ctx, "a"); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("second lock: %v", err)
	}
	other, err := k.lock(ctx, "b")
	if err != nil {
		t.Fatal(err)
	}
	other()
	unlock()
	if len(k.held) != 0 {
		t.Errorf("kept %v", k.held)
	}
}

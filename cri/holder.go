package cri

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/netns"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// dirHolder is the root filesystem of the process that holds a pod's PID
// namespace: a PID namespace, unlike the others, ends with its first process.
// The process is made when the first container asks to share.
const dirHolder = "holder"

// ensureHolder returns the path of the PID namespace of the sandbox.
func (r *Runtime) ensureHolder(ctx context.Context, sandboxID string) (string, error) {
	unlock, err := r.ops.lock(ctx, sandboxID)
	if err != nil {
		return "", err
	}
	defer unlock()
	s, err := r.liveSandbox(ctx, sandboxID)
	if err != nil {
		return "", err
	}
	if !s.Holder {
		if err := r.startHolder(ctx, s); err != nil {
			undo, cancel := cleanup(ctx)
			defer cancel()
			_ = r.dropHolder(undo, s)
			return "", wrap(err, "hold the PID namespace of sandbox %s", s.ID)
		}
		with := *s
		with.Holder = true
		if err := r.sandboxes.put(&with); err != nil {
			return "", err
		}
	}
	st, err := r.holder(ctx, s)
	return pidNamespace(st.Pid), err
}

func (r *Runtime) startHolder(ctx context.Context, s *sandbox) error {
	exe := holderProgram(runtime.GOARCH)
	if exe == nil {
		return fieldError("linux.security_context.namespace_options.pid", "containers cannot share the pod's PID namespace on "+runtime.GOARCH)
	}
	root := r.sandboxes.path(s.ID, dirHolder)
	if err := os.MkdirAll(filepath.Join(root, "proc"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "hold"), exe, 0o755); err != nil {
		return err
	}
	rt, err := r.runtime(s.Handler)
	if err != nil {
		return err
	}
	// Of a holder that a dead process left, this takes the place.
	if err := rt.Delete(ctx, s.ID); err != nil {
		return err
	}
	if err := rt.Create(ctx, container.Spec{ID: s.ID, OCI: r.holderSpec(s, root)}); err != nil {
		return err
	}
	return rt.Start(ctx, s.ID)
}

func (r *Runtime) holderSpec(s *sandbox, root string) *specs.Spec {
	shares, adj := uint64(2), max(-998, r.host.MinOOMScoreAdj)
	spec := &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: root, Readonly: true},
		Process: &specs.Process{
			Args: []string{"/hold"}, Cwd: "/", NoNewPrivileges: true, User: specs.User{UID: 65535, GID: 65535},
			Capabilities: &specs.LinuxCapabilities{}, OOMScoreAdj: &adj,
		},
		Mounts: []specs.Mount{{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}}},
		Linux: &specs.Linux{
			CgroupsPath: s.Cgroup + "/" + s.ID,
			Resources: &specs.LinuxResources{
				CPU: &specs.LinuxCPU{Shares: &shares}, Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}},
			},
			Namespaces: []specs.LinuxNamespace{{Type: specs.MountNamespace}, {Type: specs.PIDNamespace}},
		},
	}
	pins := netns.Paths(r.nsDir(s.ID), kindsOf(s.Config))
	for t, path := range map[specs.LinuxNamespaceType]string{specs.NetworkNamespace: pins.Net, specs.IPCNamespace: pins.IPC, specs.UTSNamespace: pins.UTS} {
		if path != "" {
			spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: t, Path: path})
		}
	}
	return spec
}

// holder is the state of the holding process.
func (r *Runtime) holder(ctx context.Context, s *sandbox) (container.State, error) {
	rt, err := r.runtime(s.Handler)
	if err != nil {
		return container.State{}, err
	}
	return rt.State(ctx, s.ID)
}

// dropHolder ends the process, if there is or may be one.
func (r *Runtime) dropHolder(ctx context.Context, s *sandbox) error {
	root := r.sandboxes.path(s.ID, dirHolder)
	if _, err := os.Lstat(root); err != nil {
		return nil //nolint:nilerr // an absent one is the answer
	}
	rt, err := r.runtime(s.Handler)
	if err != nil {
		return err
	}
	if err := rt.Delete(ctx, s.ID); err != nil {
		return wrap(err, "end the holder of the PID namespace")
	}
	return os.RemoveAll(root)
}

// sandboxOfHolder finds the sandbox whose holder has this container id.
func (r *Runtime) sandboxOfHolder(id string) (*sandbox, error) { return r.sandbox(id) }

// holderProgram is a whole ELF executable that ignores SIGCHLD, so that the
// kernel reaps what is left to it, and sleeps for ever. It needs no file of the
// machine and takes one page. Nil for an architecture that it was not written for.
func holderProgram(arch string) []byte {
	const base, header = 0x400000, 64 + 56
	var machine uint16
	var code []byte
	switch arch {
	case "amd64":
		machine, code = 62, holdAMD64
	case "arm64":
		machine, code = 183, holdARM64()
	default:
		return nil
	}
	le := binary.LittleEndian
	b := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...)
	b = le.AppendUint16(b, 2) // an executable
	b = le.AppendUint16(b, machine)
	b = le.AppendUint32(b, 1)
	for _, v := range []uint64{base + header, 64, 0} { // entry, program headers, no sections
		b = le.AppendUint64(b, v)
	}
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{64, 56, 1, 64, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	b = le.AppendUint32(b, 1) // load
	b = le.AppendUint32(b, 5) // to read and execute
	size := uint64(header + len(code))
	for _, v := range []uint64{0, base, base, size, size, 0x1000} {
		b = le.AppendUint64(b, v)
	}
	if len(b) != header {
		panic(fmt.Sprintf("the ELF header has %d bytes", len(b)))
	}
	return append(b, code...)
}

// holdAMD64 is rt_sigaction(SIGCHLD, {SIG_IGN}, 0, 8), then pause() for ever;
// the sigaction lies behind it, at 40.
var holdAMD64 = append([]byte{
	0xb8, 13, 0, 0, 0, // mov eax, 13
	0xbf, 17, 0, 0, 0, // mov edi, 17
	0x48, 0x8d, 0x35, 23, 0, 0, 0, // lea rsi, [rip+23]
	0x31, 0xd2, // xor edx, edx
	0x41, 0xba, 8, 0, 0, 0, // mov r10d, 8
	0x0f, 0x05, // syscall
	0xb8, 34, 0, 0, 0, // mov eax, 34
	0x0f, 0x05, // syscall
	0xeb, 0xf7, // back to the second mov eax
	0, 0,
}, sigIgn...)

var sigIgn = append([]byte{1}, make([]byte, 31)...)

// holdARM64 is the same with ppoll(0, 0, 0, 0, 0) in place of pause.
func holdARM64() []byte {
	mov := func(reg, v uint32) uint32 { return 0xd2800000 | v<<5 | reg }
	const svc = 0xd4000001
	code := []uint32{
		mov(0, 17), 0, mov(2, 0), mov(3, 8), mov(8, 134), svc,
		mov(0, 0), mov(1, 0), mov(2, 0), mov(3, 0), mov(4, 0), mov(8, 73), svc, 0x14000000 | (-7 & 0x3ffffff),
	}
	code[1] = 0x10000000 | uint32(len(code)-1)<<5 | 1 // adr x1, the end of the code
	var b []byte
	for _, w := range code {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return append(b, sigIgn...)
}

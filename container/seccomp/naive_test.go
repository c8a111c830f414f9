package seccomp

import (
	"encoding/binary"
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
)

// sysCall is what the kernel tells a filter.
type sysCall struct {
	number, audit uint32
	args          [6]uint64
}

// machine runs a program as the kernel would.
type machine struct {
	t  testing.TB
	vm *bpf.VM
}

func newMachine(t testing.TB, program []bpf.RawInstruction) machine {
	t.Helper()
	ins, ok := bpf.Disassemble(program)
	if !ok {
		t.Fatalf("no program: %v", program)
	}
	vm, err := bpf.NewVM(ins) // checks jumps too
	if err != nil {
		t.Fatal(err)
	}
	return machine{t, vm}
}

// run gives the call's words in the order in which the VM reads them.
func (m machine) run(c sysCall) uint32 {
	b := make([]byte, 64)
	binary.BigEndian.PutUint32(b[0:], c.number)
	binary.BigEndian.PutUint32(b[4:], c.audit)
	for i, a := range c.args {
		binary.BigEndian.PutUint32(b[16+8*i:], uint32(a))
		binary.BigEndian.PutUint32(b[20+8*i:], uint32(a>>32))
	}
	n, err := m.vm.Run(b)
	if err != nil {
		m.t.Fatalf("%+v: %v", c, err)
	}
	return uint32(n)
}

// naive asks the profile itself what is to become of a call: slow, and by other
// ways than Compile's.
func naive(p *specs.LinuxSeccomp, goarch string, c sysCall) uint32 {
	def, _ := action(p.DefaultAction, p.DefaultErrnoRet)
	a := archOf(p, goarch, c)
	if a == nil {
		if c.audit == auditX8664 && c.number == 0xffffffff && goarch == "amd64" {
			return def
		}
		return retKillThread
	}
	if !a.wide {
		for i := range c.args {
			c.args[i] = uint64(uint32(c.args[i]))
		}
	}
	names := namesOf(a, c)
	answer, found := uint32(0), false
	for _, s := range p.Syscalls {
		ret, _ := action(s.Action, s.ErrnoRet)
		if ret == def || !slices.ContainsFunc(s.Names, func(n string) bool { return slices.Contains(names, n) }) {
			continue
		}
		for _, n := range s.Names {
			if !slices.Contains(names, n) {
				continue
			}
			// Behind a multiplexer the first argument has been looked at.
			behind := c.number == 102 && n != "socketcall" || c.number == 117 && n != "ipc"
			behind = behind && a == archX86
			if len(s.Args) == 0 && !behind {
				return ret // whatever came before
			}
			if !found && holds(s.Args, c.args, a.wide, behind) {
				answer, found = ret, true
			}
		}
	}
	switch {
	case found:
		return answer
	case tooNew(p, a, c) && !permissive(def) && (p.DefaultErrnoRet == nil || *p.DefaultErrnoRet != enosys):
		return retErrno | enosys
	}
	return def
}

func archOf(p *specs.LinuxSeccomp, goarch string, c sysCall) *arch {
	has := func(a specs.Arch) bool { return slices.Contains(p.Architectures, a) }
	switch {
	case goarch == "amd64" && c.audit == auditX8664 && c.number < x32Bit:
		return archAMD64
	case goarch == "amd64" && c.audit == auditX8664 && has(specs.ArchX32):
		return archX32
	case goarch == "amd64" && c.audit == auditI386 && has(specs.ArchX86):
		return archX86
	case goarch == "arm64" && c.audit == auditAARCH64:
		return archARM64
	case goarch == "arm64" && c.audit == auditARM && has(specs.ArchARM):
		return archARM
	}
	return nil
}

// namesOf are the names under which the call may stand in a profile.
func namesOf(a *arch, c sysCall) (names []string) {
	for n, number := range a.calls() {
		if number == c.number {
			names = append(names, n)
		}
	}
	if a != archX86 {
		return names
	}
	socket := []string{"", "socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send", "recv", "sendto",
		"recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg", "sendmmsg"}
	ipc := []string{"", "semop", "semget", "semctl", "semtimedop", "", "", "", "", "", "", "msgsnd", "msgrcv", "msgget", "msgctl",
		"", "", "", "", "", "", "shmat", "shmdt", "shmget", "shmctl"}
	if c.number == 102 && c.args[0] < uint64(len(socket)) {
		names = append(names, socket[c.args[0]])
	}
	if c.number == 117 && c.args[0] < uint64(len(ipc)) {
		names = append(names, ipc[c.args[0]])
	}
	return names
}

func tooNew(p *specs.LinuxSeccomp, a *arch, c sysCall) bool {
	known := false
	for _, s := range p.Syscalls {
		for _, n := range s.Names {
			number, ok := a.calls()[n]
			if ok && number >= c.number {
				return false
			}
			known = known || ok && number > 0
		}
	}
	return known
}

// holds tells whether all conditions do, or one where an argument has two.
func holds(conds []specs.LinuxSeccompArg, args [6]uint64, wide, behind bool) bool {
	count := map[uint]int{}
	any, all, twice := false, true, false
	for _, g := range conds {
		ok := behind && g.Index == 0 || compare(g, args[g.Index], wide)
		any, all = any || ok, all && ok
		count[g.Index]++
		twice = twice || count[g.Index] > 1
	}
	if twice {
		return any
	}
	return all
}

func compare(g specs.LinuxSeccompArg, x uint64, wide bool) bool {
	v, w := g.Value, g.ValueTwo
	if !wide {
		v, w = uint64(uint32(v)), uint64(uint32(w))
	}
	switch g.Op {
	case specs.OpEqualTo:
		return x == v
	case specs.OpNotEqual:
		return x != v
	case specs.OpGreaterEqual:
		return x >= v
	case specs.OpGreaterThan:
		return x > v
	case specs.OpLessEqual:
		return x <= v
	case specs.OpLessThan:
		return x < v
	}
	return x&v == w
}

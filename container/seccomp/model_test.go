package seccomp

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
)

var (
	someNames = strings.Fields("read write clone personality socket bind accept4 semop shmget msgctl ioctl openat execve waitid mount setuid " +
		"set_tls rt_sigaction readv ipc socketcall mmap mmap2 _llseek nosuch arch_prctl keyctl close_range futex_waitv send accept")
	someActions = []specs.LinuxSeccompAction{specs.ActAllow, specs.ActErrno, specs.ActKill, specs.ActKillProcess, specs.ActKillThread, specs.ActTrap, specs.ActTrace, specs.ActLog}
	someOps     = []specs.LinuxSeccompOperator{specs.OpEqualTo, specs.OpNotEqual, specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpLessEqual, specs.OpLessThan, specs.OpMaskedEqual}
	someValues  = []uint64{0, 1, 2, 11, 40, 0xffffffff, 0x100000000, 0x100000001, 0x7e020000, 1 << 63, ^uint64(0)}
	someArchs   = []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32, specs.ArchAARCH64, specs.ArchARM, specs.ArchS390X}
)

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func randomProfile(r *rand.Rand) *specs.LinuxSeccomp {
	p := &specs.LinuxSeccomp{DefaultAction: pick(r, someActions)}
	if r.IntN(2) == 0 {
		n := uint(r.IntN(80))
		p.DefaultErrnoRet = &n
	}
	for _, a := range someArchs {
		if r.IntN(2) == 0 {
			p.Architectures = append(p.Architectures, a)
		}
	}
	for range 1 + r.IntN(40) {
		s := specs.LinuxSyscall{Names: []string{pick(r, someNames), pick(r, someNames)}, Action: pick(r, someActions)}
		for range pick(r, []int{0, 0, 1, 2, 3}) {
			s.Args = append(s.Args, specs.LinuxSeccompArg{Index: uint(r.IntN(6)), Op: pick(r, someOps), Value: pick(r, someValues), ValueTwo: pick(r, someValues)})
		}
		p.Syscalls = append(p.Syscalls, s)
	}
	return p
}

// randomCall is one that a profile may have an opinion on.
func randomCall(r *rand.Rand, p *specs.LinuxSeccomp) sysCall {
	a := pick(r, []*arch{archX86, archAMD64, archX32, archARM, archARM64})
	c := sysCall{audit: a.audit, number: pick(r, []uint32{0, 1, 335, 336, 470, 471, 472, 600, 0xf0001, 0xf0005, 0xffffffff, x32Bit, x32Bit - 1, x32Bit | 520})}
	if n, ok := a.calls()[pick(r, someNames)]; ok && r.IntN(4) > 0 {
		c.number = n
	}
	if r.IntN(20) == 0 {
		c.audit = 0x1234
	}
	for i := range c.args {
		v := pick(r, someValues)
		if s := pick(r, p.Syscalls); len(s.Args) > 0 && r.IntN(2) == 0 {
			v = pick(r, s.Args).Value
		}
		c.args[i] = pick(r, []uint64{v, v, v + 1, v - 1, v | 1<<32, uint64(uint32(v)), v ^ 1<<40})
	}
	return c
}

// The compiled program does to every call what the profile says of it.
func TestProgramsObeyTheirProfiles(t *testing.T) {
	seeds := 120
	if testing.Short() {
		seeds = 40
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		p := randomProfile(r)
		for goarch := range natives {
			f, err := Compile(p, goarch)
			if err != nil {
				t.Fatal(err)
			}
			m := newMachine(t, f.Program)
			for range 400 {
				c := randomCall(r, p)
				if got, want := m.run(c), naive(p, goarch, c); got != want {
					text, _ := json.Marshal(p)
					t.Fatalf("seed %d, %s: %+v gets %#x, want %#x\n%s", seed, goarch, c, got, want, text)
				}
			}
		}
	}
}

// A profile of many rules makes long jumps, and is right all the same.
func TestLongPrograms(t *testing.T) {
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Architectures: someArchs}
	for name, n := range archAMD64.calls() {
		if n%3 == 0 {
			p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{Names: []string{name}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{
				{Index: 5, Op: specs.OpGreaterThan, Value: uint64(n)}, {Index: 0, Op: specs.OpMaskedEqual, Value: 1 << 33, ValueTwo: 1 << 33}}})
		}
	}
	f, err := Compile(p, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Program) < 1000 {
		t.Errorf("it has only %d instructions", len(f.Program))
	}
	m, r := newMachine(t, f.Program), rand.New(rand.NewPCG(1, 2))
	for number := range uint32(500) {
		for _, audit := range []uint32{auditX8664, auditI386} {
			c := sysCall{number: number, audit: audit, args: [6]uint64{r.Uint64(), 0, 0, 0, 0, uint64(number) + r.Uint64N(2)}}
			if got, want := m.run(c), naive(p, "amd64", c); got != want {
				t.Fatalf("%+v gets %#x, want %#x", c, got, want)
			}
		}
	}
	for i := range 2000 {
		p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{Names: []string{"read"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Op: specs.OpEqualTo, Value: uint64(i)}}})
	}
	if _, err := Compile(p, "amd64"); err == nil || !strings.Contains(err.Error(), "more than the kernel's 4096") {
		t.Errorf("of too many: %v", err)
	}
}

func defaultProfile(t testing.TB) *specs.LinuxSeccomp {
	b, err := os.ReadFile("testdata/default.json")
	if err != nil {
		t.Fatal(err)
	}
	p := &specs.LinuxSeccomp{}
	if err := json.Unmarshal(b, p); err != nil {
		t.Fatal(err)
	}
	return p
}

// testdata/default.bpf is what runc 1.5.2 with libseccomp 2.5.4 makes of
// testdata/default.json, the default profile of moby/profiles for the default
// capabilities. That libseccomp knows no call that is newer than cachestat (451)
// and its neighbours.
func TestSameAsLibseccomp(t *testing.T) {
	b, err := os.ReadFile("testdata/default.bpf")
	if err != nil {
		t.Fatal(err)
	}
	var lib []bpf.RawInstruction
	for ; len(b) > 0; b = b[8:] {
		lib = append(lib, bpf.RawInstruction{Op: binary.LittleEndian.Uint16(b), Jt: b[2], Jf: b[3], K: binary.LittleEndian.Uint32(b[4:])})
	}
	p := defaultProfile(t)
	f, err := Compile(p, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Program) > len(lib)/2 {
		t.Errorf("%d instructions, libseccomp has %d", len(f.Program), len(lib))
	}
	want, got := newMachine(t, lib), newMachine(t, f.Program)
	newer := func(n uint32) bool { return n&^x32Bit == 335 || n&^x32Bit > 456 && n&^x32Bit <= 471 }
	r := rand.New(rand.NewPCG(3, 4))
	for _, audit := range []uint32{auditI386, auditX8664, auditAARCH64, 0} {
		for n := range uint32(700) {
			for _, number := range []uint32{n, n | x32Bit, ^n} {
				for range 20 {
					c := sysCall{number: number, audit: audit}
					for i := range c.args {
						c.args[i] = pick(r, []uint64{0, 1, 8, 16, 40, 41, 0x20000, 0x20008, 0xffffffff, 0x7e020000, 0x10000000, 1<<32 | 8, 1<<32 | 40, ^uint64(0)})
						if audit == auditI386 {
							c.args[i] = uint64(uint32(c.args[i]))
						}
					}
					if a, b := want.run(c), got.run(c); a != b && !newer(number) {
						t.Fatalf("%+v: %#x, libseccomp says %#x", c, b, a)
					}
				}
			}
		}
	}
}

func FuzzCompile(f *testing.F) {
	b, err := os.ReadFile("testdata/default.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86"],"syscalls":[{"names":["socket"],"action":"SCMP_ACT_TRACE","args":[{"index":1,"op":"SCMP_CMP_GE","value":4294967296}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p := &specs.LinuxSeccomp{}
		if json.Unmarshal(body, p) != nil {
			return
		}
		for goarch := range natives {
			c, err := Compile(p, goarch)
			if err != nil || len(c.Program) == 0 {
				continue
			}
			m, r := newMachine(t, c.Program), rand.New(rand.NewPCG(5, 6))
			for range 50 {
				k := sysCall{number: uint32(r.IntN(600)), audit: pick(r, []uint32{auditX8664, auditI386, auditARM, auditAARCH64})}
				if got, want := m.run(k), naive(p, goarch, k); got != want {
					t.Fatalf("%s %+v gets %#x, want %#x", goarch, k, got, want)
				}
			}
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	p := defaultProfile(b)
	for b.Loop() {
		if _, err := Compile(p, "amd64"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestRefusedProfiles(t *testing.T) {
	big := uint(5000)
	for want, change := range map[string]func(*specs.LinuxSeccomp){
		`defaultAction: action "" is not known`:                     func(p *specs.LinuxSeccomp) { p.DefaultAction = "" },
		"defaultAction: errnoRet 5000 is more than 4095":            func(p *specs.LinuxSeccomp) { p.DefaultErrnoRet = &big },
		"listenerPath: nothing of lifepod sends to /x":              func(p *specs.LinuxSeccomp) { p.ListenerPath = "/x" },
		`flags: "SECCOMP_FILTER_FLAG_X" is not supported`:           func(p *specs.LinuxSeccomp) { p.Flags = []specs.LinuxSeccompFlag{"SECCOMP_FILTER_FLAG_X"} },
		`architectures: "SCMP_ARCH_VAX" is not known`:               func(p *specs.LinuxSeccomp) { p.Architectures = []specs.Arch{"SCMP_ARCH_VAX"} },
		"syscalls[0] (no names): names: the name":                   func(p *specs.LinuxSeccomp) { p.Syscalls[0].Names = nil },
		`syscalls[0] (read): action "x" is not known`:               func(p *specs.LinuxSeccomp) { p.Syscalls[0].Action = "x" },
		"syscalls[0] (read): SCMP_ACT_NOTIFY is not supported":      func(p *specs.LinuxSeccomp) { p.Syscalls[0].Action = specs.ActNotify },
		"syscalls[0] (read): errnoRet 5000 is more":                 func(p *specs.LinuxSeccomp) { p.Syscalls[0].ErrnoRet = &big },
		"syscalls[0] (read): args[0]: index 6: a system call has 6": func(p *specs.LinuxSeccomp) { p.Syscalls[0].Args[0].Index = 6 },
		`syscalls[0] (read): args[0]: op "SCMP_CMP_X" is not known`: func(p *specs.LinuxSeccomp) { p.Syscalls[0].Args[0].Op = "SCMP_CMP_X" },
	} {
		p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
			{Names: []string{"read"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Op: specs.OpEqualTo}}}}}
		if _, err := Compile(p, "amd64"); err != nil {
			t.Fatal(err)
		}
		change(p)
		if _, err := Compile(p, "amd64"); err == nil || !strings.HasPrefix(err.Error(), "linux.seccomp: "+want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	_, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow}, "riscv64")
	if want := "linux.seccomp: seccomp profiles cannot be applied on riscv64, only on amd64 and arm64: use Unconfined"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for _, p := range []*specs.LinuxSeccomp{nil, {}} {
		if f, err := Compile(p, "riscv64"); err != nil || len(f.Program) > 0 || f.Install() != nil {
			t.Errorf("of nothing: %v %v", f, err)
		}
	}
}

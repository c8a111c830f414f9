package seccomp

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

//go:generate go run ./internal/gentables

var (
	//go:embed tables/386.txt
	table386 string
	//go:embed tables/amd64.txt
	tableAMD64 string
	//go:embed tables/arm.txt
	tableARM string
	//go:embed tables/arm64.txt
	tableARM64 string
)

// arch is one way to make system calls.
type arch struct {
	audit uint32 // what the kernel calls it
	wide  bool   // arguments have 64 bits
	x32   bool   // numbers have x32Bit
	calls func() map[string]uint32
}

// x32Bit marks the numbers of x32, which the kernel does not tell from x86_64.
const x32Bit = 1 << 30

// The AUDIT_ARCH_ constants.
const (
	auditI386    = 0x40000003
	auditX8664   = 0xc000003e
	auditARM     = 0x40000028
	auditAARCH64 = 0xc00000b7
)

var (
	archX86   = &arch{audit: auditI386, calls: sync.OnceValue(func() map[string]uint32 { return parseTable(table386) })}
	archAMD64 = &arch{audit: auditX8664, wide: true, calls: sync.OnceValue(func() map[string]uint32 { return parseTable(tableAMD64) })}
	archX32   = &arch{audit: auditX8664, x32: true, calls: sync.OnceValue(x32Calls)}
	archARM   = &arch{audit: auditARM, calls: sync.OnceValue(armCalls)}
	archARM64 = &arch{audit: auditAARCH64, wide: true, calls: sync.OnceValue(func() map[string]uint32 { return parseTable(tableARM64) })}
)

var archs = map[specs.Arch]*arch{
	specs.ArchX86: archX86, specs.ArchX86_64: archAMD64, specs.ArchX32: archX32,
	specs.ArchARM: archARM, specs.ArchAARCH64: archARM64,
}

// natives are the architectures whose kernels we know, by GOARCH, and what their
// kernels can run.
var natives = map[string][]*arch{
	"amd64": {archAMD64, archX86, archX32},
	"arm64": {archARM64, archARM},
}

// Architectures lists the values of GOARCH that [Compile] takes.
func Architectures() []string { return slices.Sorted(maps.Keys(natives)) }

// profileArchs are the architectures of a profile, the machine's own first. Those
// that the machine's kernel does not run need no rules.
func profileArchs(goarch string, names []specs.Arch) ([]*arch, error) {
	native := natives[goarch]
	if native == nil {
		return nil, fmt.Errorf("seccomp profiles cannot be applied on %s, only on %s: use Unconfined", goarch, strings.Join(Architectures(), " and "))
	}
	out := native[:1:1]
	for _, n := range names {
		a := archs[n]
		if a == nil && !slices.Contains(otherArchs, n) {
			return nil, fmt.Errorf("architectures: %q is not known", n)
		}
		if slices.Contains(native, a) && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out, nil
}

var otherArchs = []specs.Arch{
	specs.ArchMIPS, specs.ArchMIPS64, specs.ArchMIPS64N32, specs.ArchMIPSEL, specs.ArchMIPSEL64, specs.ArchMIPSEL64N32,
	specs.ArchPPC, specs.ArchPPC64, specs.ArchPPC64LE, specs.ArchS390, specs.ArchS390X, specs.ArchRISCV64, specs.ArchLOONGARCH64,
}

// parseTable reads lines of a name and a number.
func parseTable(text string) map[string]uint32 {
	calls := map[string]uint32{}
	for line := range strings.Lines(text) {
		name, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseUint(number, 10, 32); err == nil {
			calls[name] = uint32(n)
		}
	}
	return calls
}

// armCalls adds the calls that only ARM has.
func armCalls() map[string]uint32 {
	calls := parseTable(tableARM)
	for i, name := range []string{"breakpoint", "cacheflush", "usr26", "usr32", "set_tls", "get_tls"} {
		calls[name] = 0xf0001 + uint32(i)
	}
	return calls
}

// x32Calls are x86_64's but for some that x32 lacks and some that it has at
// other numbers.
func x32Calls() map[string]uint32 {
	calls := map[string]uint32{}
	for name, n := range parseTable(tableAMD64) {
		if !slices.Contains(notX32, name) {
			calls[name] = n | x32Bit
		}
	}
	for i, name := range onlyX32 {
		calls[name] = 512 + uint32(i) | x32Bit
	}
	return calls
}

var (
	notX32 = strings.Fields("uselib _sysctl create_module get_kernel_syms query_module nfsservctl set_thread_area get_thread_area " +
		"epoll_ctl_old epoll_wait_old vserver map_shadow_stack uretprobe uprobe")
	onlyX32 = strings.Fields("rt_sigaction rt_sigreturn ioctl readv writev recvfrom sendmsg recvmsg execve ptrace rt_sigpending " +
		"rt_sigtimedwait rt_sigqueueinfo sigaltstack timer_create mq_notify kexec_load waitid set_robust_list get_robust_list vmsplice " +
		"move_pages preadv pwritev rt_tgsigqueueinfo recvmmsg sendmmsg process_vm_readv process_vm_writev setsockopt getsockopt " +
		"io_setup io_submit execveat preadv2 pwritev2")
)

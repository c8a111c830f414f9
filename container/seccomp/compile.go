package seccomp

import (
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
)

// Filter is a compiled profile. The zero value filters nothing. It is not
// changed after it was made and may be used by many goroutines.
type Filter struct {
	// Program is what the kernel runs, in the order of its instructions.
	Program []bpf.RawInstruction
	// Flags are SECCOMP_FILTER_FLAG_ values.
	Flags uint32
}

// maxProgram is the kernel's BPF_MAXINSNS.
const maxProgram = 4096

// The flags that we pass on.
const (
	flagLog       = 1 << 1
	flagSpecAllow = 1 << 2
)

// Compile makes the program of p for a machine of the given GOARCH. A nil
// profile, and one that says nothing, give the zero Filter. A profile that cannot
// be obeyed to the letter is an error that names the field; names of system
// calls that nobody knows are left out, as kernels differ.
func Compile(p *specs.LinuxSeccomp, goarch string) (Filter, error) {
	if p == nil || p.DefaultAction == "" && len(p.Syscalls) == 0 {
		return Filter{}, nil
	}
	f, err := compile(p, goarch)
	if err != nil {
		return Filter{}, fmt.Errorf("linux.seccomp: %w", err)
	}
	return f, nil
}

func compile(p *specs.LinuxSeccomp, goarch string) (Filter, error) {
	names, err := profileArchs(goarch, p.Architectures)
	if err != nil {
		return Filter{}, err
	}
	flags, err := flagBits(p)
	if err != nil {
		return Filter{}, err
	}
	pol, err := newPolicy(p)
	if err != nil {
		return Filter{}, err
	}
	prog := assemble(names, pol)
	if len(prog) > maxProgram {
		return Filter{}, fmt.Errorf("syscalls: the program has %d instructions, more than the kernel's %d: use fewer rules with args", len(prog), maxProgram)
	}
	return Filter{Program: prog, Flags: flags}, nil
}

func flagBits(p *specs.LinuxSeccomp) (bits uint32, err error) {
	if p.Flags == nil {
		return flagSpecAllow, nil
	}
	for _, f := range p.Flags {
		switch f {
		case specs.LinuxSeccompFlagLog:
			bits |= flagLog
		case specs.LinuxSeccompFlagSpecAllow:
			bits |= flagSpecAllow
		case "SECCOMP_FILTER_FLAG_TSYNC": // a program has one thread when it starts
		default:
			return 0, fmt.Errorf("flags: %q is not supported", f)
		}
	}
	return bits, nil
}

// The SECCOMP_RET_ values.
const (
	retKillThread  = 0
	retKillProcess = 0x80000000
	retTrap        = 0x00030000
	retErrno       = 0x00050000
	retTrace       = 0x7ff00000
	retLog         = 0x7ffc0000
	retAllow       = 0x7fff0000
)

// Numbers of errors on every Linux.
const (
	eperm    = 1
	enosys   = 38
	maxErrno = 4095
)

// action is what the kernel is to return for a. Its number is EPERM unless the
// profile says another.
func action(a specs.LinuxSeccompAction, number *uint) (uint32, error) {
	n := uint(eperm)
	if number != nil {
		n = *number
	}
	switch a {
	case specs.ActKill, specs.ActKillThread:
		return retKillThread, nil
	case specs.ActKillProcess:
		return retKillProcess, nil
	case specs.ActTrap:
		return retTrap, nil
	case specs.ActAllow:
		return retAllow, nil
	case specs.ActLog:
		return retLog, nil
	case specs.ActErrno:
		if n > maxErrno {
			return 0, fmt.Errorf("errnoRet %d is more than %d", n, maxErrno)
		}
		return retErrno | uint32(n), nil
	case specs.ActTrace:
		if n > 0xffff {
			return 0, fmt.Errorf("errnoRet %d is more than %d", n, 0xffff)
		}
		return retTrace | uint32(n), nil
	case specs.ActNotify:
		return 0, errors.New("SCMP_ACT_NOTIFY is not supported: nothing of lifepod listens for it")
	}
	return 0, fmt.Errorf("action %q is not known", a)
}

// permissive tells that a call which nobody thought of is let through.
func permissive(ret uint32) bool { return ret >= retTrace && ret <= retAllow }

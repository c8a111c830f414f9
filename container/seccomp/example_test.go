package seccomp_test

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container/seccomp"
)

// A profile that refuses one call, for a machine that need not be this one.
func ExampleCompile() {
	filter, err := seccomp.Compile(&specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Syscalls:      []specs.LinuxSyscall{{Names: []string{"mount"}, Action: specs.ActErrno}},
	}, "arm64")
	for _, i := range filter.Program {
		fmt.Printf("%#02x %d %d %#x\n", i.Op, i.Jt, i.Jf, i.K)
	}
	fmt.Println(err)
	// Output:
	// 0x20 0 0 0x4
	// 0x15 0 5 0xc00000b7
	// 0x20 0 0 0x0
	// 0x35 0 2 0x28
	// 0x35 1 0 0x29
	// 0x06 0 0 0x50001
	// 0x06 0 0 0x7fff0000
	// 0x06 0 0 0x0
	// <nil>
}

package cgroups_test

import (
	"fmt"

	"github.com/lifepod/lifepod/cgroups"
)

// A program that limits a group of processes and takes them away again:
//
//	m, err := cgroups.Open(cgroups.Options{Root: "/demo"})
//	...
//	err = m.Ensure(ctx, "/demo/job", cgroups.Values{Memory: &memory})
//	... write pids to cgroup.procs, or start them there ...
//	err = m.Remove(ctx, "/demo/job") // kills what is left
//
// What no kernel takes is refused before anything is made.
func ExampleValues_Check() {
	memory, shares := int64(64<<20), uint64(1)
	fmt.Println(cgroups.Values{Memory: &memory}.Check())
	fmt.Println(cgroups.Values{CPUShares: &shares}.Check())
	// Output:
	// <nil>
	// cpu shares 1 are not between 2 and 262144
}

package containerd_test

import (
	"fmt"
	"runtime"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/cgroups/containerd"
)

// A node whose pods' cgroups are made by containerd's library:
//
//	root := "/lifepod-" + local.RootID("/var/lib/demo")
//	m, err := containerd.Open(cgroups.Options{Root: root})
//	...
//	node, err := local.Open(local.Options{Root: "/var/lib/demo", Cgroups: m})
//
// What package cgroups refuses is refused here too, before anything is made.
func ExampleOpen() {
	_, err := containerd.Open(cgroups.Options{Root: "demo"})
	if runtime.GOOS == "linux" {
		fmt.Println(err)
	} else {
		fmt.Println(`cgroup path "demo" is not absolute and clean`)
	}
	// Output: cgroup path "demo" is not absolute and clean
}

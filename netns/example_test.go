package netns_test

import (
	"fmt"
	"path/filepath"

	"github.com/lifepod/lifepod/netns"
)

// Paths are known before anything is made, so that they can be written down
// first and removed after a crash.
func ExamplePaths() {
	p := netns.Paths("/run/demo/pod-1", netns.Net|netns.UTS)
	fmt.Println(filepath.ToSlash(p.Net), filepath.ToSlash(p.UTS), p.IPC == "")
	// Output: /run/demo/pod-1/net /run/demo/pod-1/uts true
}

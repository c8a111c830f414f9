package netnstest_test

import (
	"context"
	"fmt"

	"github.com/lifepod/lifepod/netns"
	"github.com/lifepod/lifepod/netns/netnstest"
)

// The zero Fake is a network for tests of what uses one.
func ExampleFake() {
	var net netnstest.Fake
	res, err := net.Setup(context.Background(), netns.Attachment{ID: "pod-1", Path: "/run/demo/pod-1/net"})
	fmt.Println(res.Interface, res.Addrs, err)
	fmt.Println(len(net.Attached()))
	// Output:
	// eth0 [10.0.0.2/24] <nil>
	// 1
}

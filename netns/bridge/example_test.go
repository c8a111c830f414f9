package bridge_test

import (
	"fmt"

	"github.com/lifepod/lifepod/netns/bridge"
)

// New refuses options that cannot work, before anything is changed on the host.
func ExampleNew() {
	_, err := bridge.New(bridge.Options{ID: "demo", Dir: "/run/demo/net"})
	fmt.Println(err)
	// Output: bridge: ID "demo" must be eight digits of 0-9a-f
}

// Command only-netns makes a network namespace that outlives its maker, looks
// into it, and removes it.
package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/lifepod/lifepod/netns"
)

func main() {
	dir, err := os.MkdirTemp("", "only-netns")
	must(err)
	defer os.RemoveAll(dir)
	pins, err := netns.Create(filepath.Join(dir, "ns"), netns.Net|netns.UTS, netns.Options{
		Hostname: "inside", Sysctls: map[string]string{"net.ipv4.ip_unprivileged_port_start": "0"},
	})
	must(err)
	must(netns.Do(pins.Net, func() error {
		links, err := net.Interfaces()
		for _, l := range links {
			fmt.Println(l.Name, l.Flags)
		}
		return err
	}))
	must(netns.Remove(filepath.Join(dir, "ns")))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

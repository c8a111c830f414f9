package hosts_test

import (
	"fmt"

	"github.com/lifepod/lifepod/image/remote/hosts"
)

// A mirror in front of Docker Hub that may not say what a tag names.
func ExampleParse() {
	list, err := hosts.Parse([]byte(`
		server = "https://registry-1.docker.io"

		[host."https://mirror.example:5000"]
		capabilities = ["pull"]
		ca = "mirror.pem"
	`), "/etc/containerd/certs.d/docker.io")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, h := range list {
		fmt.Println(h.Host, h.Can.Has(hosts.Resolve), h.CAs)
	}
	// Output:
	// mirror.example:5000 false [/etc/containerd/certs.d/docker.io/mirror.pem]
	// registry-1.docker.io true []
}

// Command custom-agent runs a pod with one block replaced: a network of its own,
// which gives no pod an address but loopback's, and says who asked.
package main

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"os"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/lifecycle/local"
	"github.com/lifepod/lifepod/netns"
)

type quiet struct{}

func (quiet) Setup(_ context.Context, a netns.Attachment) (netns.Result, error) {
	fmt.Println("network for pod", a.Pod.Name)
	return netns.Result{Interface: "lo", Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")}}, nil
}
func (quiet) Teardown(context.Context, netns.Attachment) error { return nil }
func (quiet) Check(context.Context, netns.Attachment) error    { return nil }
func (quiet) Ready(context.Context) error                      { return nil }

const manifest = `
apiVersion: v1
kind: Pod
metadata: {name: job}
spec:
  restartPolicy: Never
  containers:
  - {name: job, image: demo.lifepod.example/demo:v1, command: [/demo, say, "done"]}
`

func main() {
	root, err := os.MkdirTemp("", "custom-agent")
	must(err)
	defer os.RemoveAll(root)
	program, err := os.ReadFile(".cache/demo") // make build
	must(err)
	registry := &imagetest.Registry{}
	_, err = registry.Add("demo:v1", imagetest.Image{Layers: []imagetest.Layer{imagetest.Program("demo", program)}})
	must(err)
	host, stop, err := registry.Start()
	must(err)
	defer stop()

	o := local.Options{Root: root, Network: quiet{}}
	o.Images.Client.Mirrors = map[string]string{"demo.lifepod.example": host}
	node, err := local.Open(o)
	must(err)
	defer node.Close()
	pods, _, err := local.Decode([]byte(manifest))
	must(err)
	h, err := node.Run(context.Background(), pods[0])
	must(err)
	for st := range h.Status(context.Background()) {
		if st.Phase == "Succeeded" || st.Phase == "Failed" {
			fmt.Println("pod", h.Pod().Name, st.Phase)
			break
		}
	}
	must(node.Logs(context.Background(), "job", local.LogOptions{}, os.Stdout, os.Stderr))
	must(h.Stop(context.Background()))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

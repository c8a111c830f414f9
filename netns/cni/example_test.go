package cni_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/lifepod/lifepod/netns/cni"
)

// Ready tells what is missing before the first pod needs it.
func ExampleNetwork_Ready() {
	dir, err := os.MkdirTemp("", "cni")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	n, err := cni.New(cni.Options{ConfDir: dir, CacheDir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.ReplaceAll(n.Ready(context.Background()).Error(), dir, "DIR"))
	// Output: cni plugin not initialized: no network config found in DIR
}

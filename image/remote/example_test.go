package remote_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/remote"
)

func ExampleClient() {
	var reg imagetest.Registry
	host, stop, err := reg.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	want, err := reg.Add("app:v1", imagetest.Image{})
	if err != nil {
		fmt.Println(err)
		return
	}
	c := remote.New(remote.Options{})
	defer c.Close()
	repo := c.Repository(host, "app", remote.Auth{}, false)
	d, _, err := repo.Manifest(context.Background(), "v1")
	fmt.Println(d.Digest == want, err)
	_, err = repo.Resolve(context.Background(), "v2")
	fmt.Println(errors.Is(err, remote.ErrNotFound))
	// Output:
	// true <nil>
	// true
}

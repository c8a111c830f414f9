package image_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"runtime"
	"time"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/archive"
	"github.com/lifepod/lifepod/image/credentials"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/remote"
	"github.com/lifepod/lifepod/image/remote/hosts"
	"github.com/lifepod/lifepod/image/verify"
)

// The examples of README.md, which shows parts of them.

var ctx = context.Background()

// ground is a store in a temporary directory, and a registry on loopback with the
// images app:v1 and app:v2.
func ground(o image.Options) (store *image.Store, host string, clear func()) {
	var reg imagetest.Registry
	for i, name := range []string{"app:v1", "app:v2"} {
		must(reg.Add(name, imagetest.Random(uint64(i), 2, 1000)))
	}
	host, stop, err := reg.Start()
	check(err)
	dir, err := os.MkdirTemp("", "images")
	check(err)
	store, err = image.Open(dir, o)
	check(err)
	return store, host, func() {
		check(errors.Join(store.Close(), os.RemoveAll(dir)))
		stop()
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func ExampleStore_Pull() {
	store, host, clear := ground(image.Options{})
	defer clear()

	img, err := store.Pull(ctx, host+"/app:v1", image.PullOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(img.ChainIDs), "layers for", img.Config.OS)

	// Output: 2 layers for linux
}

func ExampleStore_Prepare() {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		fmt.Println("[layer0 layer1]")
		return
	}
	store, host, clear := ground(image.Options{})
	defer clear()
	img := must(store.Pull(ctx, host+"/app:v1", image.PullOptions{}))
	dir := must(os.MkdirTemp("", "root"))
	defer os.Remove(dir)

	mounts, err := store.Prepare(ctx, "container-1", img.ID) // View for one that nobody writes to
	if err != nil {
		log.Fatal(err)
	}
	if err := image.MountAll(mounts, dir); err != nil { // needs root
		log.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	err = errors.Join(err, image.Unmount(dir), store.RemoveSnapshot(ctx, "container-1"))

	check(err)
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	fmt.Println(names)
	// Output: [layer0 layer1]
}

func ExampleStore_Pulling() {
	store, host, clear := ground(image.Options{})
	defer clear()
	done := 0

	for p, err := range store.Pulling(ctx, host+"/app:v1", image.PullOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		if p.Phase == image.Done { // or draw p.Bytes of p.Total
			done++
		}
	}
	img, err := store.Get(ctx, host+"/app:v1")

	check(err)
	fmt.Println(done, "of", len(img.ChainIDs))
	// Output: 2 of 2
}

func ExamplePullOptions_credentials() {
	store, host, clear := ground(image.Options{})
	defer clear()
	secret := []byte(`{"auths": {"` + host + `": {"username": "me", "password": "secret"}}}`)

	config, err := credentials.ParseConfigJSON(secret) // a pull secret; package dockerconfig has the user's own
	if err != nil {
		log.Fatal(err)
	}
	var ring credentials.Keyring
	ring.Add(config)
	for _, auth := range ring.Lookup(host + "/app") { // in the order in which Kubernetes tries them
		if _, err = store.Pull(ctx, host+"/app:v1", image.PullOptions{Auth: auth}); err == nil {
			break
		}
	}

	check(err)
	fmt.Println("pulled as", ring.Lookup(host + "/app")[0].Username)
	// Output: pulled as me
}

func ExampleOptions_mirrors() {
	_, host, clear := ground(image.Options{})
	defer clear()
	dir := must(os.MkdirTemp("", "images"))
	defer os.RemoveAll(dir)

	store, err := image.Open(dir, image.Options{Client: remote.Options{
		Hosts:   hosts.Dir("/etc/containerd/certs.d"),            // as containerd is told
		Mirrors: map[string]string{"registry.example.com": host}, // or in short
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	img, err := store.Pull(ctx, "registry.example.com/app:v1", image.PullOptions{})

	check(err)
	fmt.Println(img.Tags)
	// Output: [registry.example.com/app:v1]
}

func ExamplePullOptions_verify() {
	store, host, clear := ground(image.Options{})
	defer clear()

	rules := verify.Rules{
		{Match: "registry.example.com/team/**"}, // Verify: a cosign.Verifier asks for a signature
	}
	_, err := store.Pull(ctx, host+"/app:v1", image.PullOptions{Verify: rules})
	var failed *image.Error
	if errors.As(err, &failed) {
		fmt.Println(failed.Reason())
	}

	// Output: SignatureValidationFailed
}

func ExampleStore_FreeSpace() {
	store, host, clear := ground(image.Options{})
	defer clear()
	must(store.Pull(ctx, host+"/app:v1", image.PullOptions{}))

	// Above 85 % of the disk down to 80 %, the least recently used first.
	freed, err := store.FreeSpace(ctx, image.SpaceOptions{})
	if err != nil {
		log.Print(err) // there was too little to remove
	}
	// Whatever the disk says.
	options := image.SpaceOptions{}
	options.MinAge = time.Nanosecond
	pruned, err := store.Prune(ctx, options)

	check(err)
	fmt.Println(len(freed.Images)+len(pruned.Images), "image")
	// Output: 1 image
}

func ExampleStore_Remove() {
	store, host, clear := ground(image.Options{})
	defer clear()
	for _, name := range []string{"/app:v1", "/app:v2"} {
		must(store.Pull(ctx, host+name, image.PullOptions{}))
	}

	if err := store.Tag(ctx, host+"/app:v1", "example.com/app:stable"); err != nil {
		log.Fatal(err)
	}
	if err := store.Remove(ctx, host+"/app:v1"); err != nil { // a tag; the last one takes the image along
		log.Fatal(err)
	}
	images, err := store.List(ctx)
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(len(images), "images,", must(store.Get(ctx, "example.com/app:stable")).Tags)
	// Output: 2 images, [example.com/app:stable]
}

func ExampleStore_Load() {
	store, host, clear := ground(image.Options{})
	defer clear()
	there, _, clearThere := ground(image.Options{})
	defer clearThere()
	name := host + "/app:v1"
	must(store.Pull(ctx, name, image.PullOptions{}))

	var file bytes.Buffer // an os.File; SaveDir and LoadDir take a directory
	if err := archive.Save(ctx, store, &file, name); err != nil {
		log.Fatal(err)
	}
	images, err := archive.Load(ctx, there, &file, archive.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(images[0].ID == must(store.Get(ctx, name)).ID)
	// Output: true
}

func Example_imagetest() {
	store, _, clear := ground(image.Options{Client: remote.Options{Retries: -1}})
	defer clear()

	var registry imagetest.Registry // a http.Handler
	digest, err := registry.Add("app:v1", imagetest.Image{
		Layers: []imagetest.Layer{imagetest.Program("/bin/app", []byte("a static binary"))},
	})
	if err != nil {
		log.Fatal(err)
	}
	host, stop, err := registry.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer stop()
	registry.On("/blobs/", imagetest.Truncate(100)) // one of many faults
	_, broken := store.Pull(ctx, host+"/app:v1", image.PullOptions{})
	registry.Heal()
	_, healed := store.Pull(ctx, host+"/app@"+digest.String(), image.PullOptions{})

	fmt.Println(broken != nil, healed)
	// Output: true <nil>
}

package disk_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/lifepod/lifepod/image/pullrecord"
	"github.com/lifepod/lifepod/image/pullrecord/disk"
)

// A pull, as a node writes it down.
func Example() {
	dir, err := os.MkdirTemp("", "records")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store, err := disk.Open(dir, disk.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	end, err := store.Begin("example/app:1")
	if err != nil {
		fmt.Println(err)
		return
	}
	// … the image is pulled, without credentials …
	everyone := &pullrecord.Credentials{Everyone: true}
	err = store.Update("sha256:1", func(old *pullrecord.Record) *pullrecord.Record {
		next, err := pullrecord.Merge(old, "sha256:1", "example/app:1", everyone, time.Unix(0, 0))
		if err != nil {
			return old
		}
		return next
	})
	fmt.Println(err, end())
	text, err := os.ReadFile(filepath.Join(dir, "image_manager", "pulled", pullrecord.FileName("sha256:1")))
	fmt.Print(string(text), err)
	// Output:
	// <nil> <nil>
	// {"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":"1970-01-01T00:00:00Z","imageRef":"sha256:1","credentialMapping":{"example/app":{"nodePodsAccessible":true}}}
	// <nil>
}

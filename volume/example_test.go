package volume_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lifepod/lifepod/volume"
	"github.com/lifepod/lifepod/volume/volumetest"
)

func Example() {
	dir, err := os.MkdirTemp("", "pod")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	objects := &volumetest.Objects{}
	objects.SetConfigMap("conf", map[string]string{"level": "debug"})
	pod := volumetest.Pod(volumetest.ConfigMap("conf", false), volumetest.EmptyDir("scratch", ""))

	m := volume.New(volume.Options{})
	ctx := context.Background()
	r := volume.Request{Pod: pod, Dir: dir, Objects: objects}
	out, err := m.SetUp(ctx, r)
	if err != nil {
		fmt.Println(err)
		return
	}
	show := func() {
		b, _ := os.ReadFile(filepath.Join(out["conf"].Path, "level"))
		fmt.Printf("level is %s\n", b)
	}
	show()
	objects.SetConfigMap("conf", map[string]string{"level": "info"})
	fmt.Println(m.Update(ctx, r))
	show()
	fmt.Println(m.TearDown(ctx, dir))
	// Output:
	// level is debug
	// [conf] <nil>
	// level is info
	// <nil>
}

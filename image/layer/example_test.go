package layer_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/lifepod/lifepod/image/layer"
)

// A layer that tries to write outside its directory is refused.
func ExampleApply() {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Name: "../../etc/passwd", Mode: 0o644})
	_ = w.Close()

	dir, err := os.MkdirTemp("", "layer")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	_, err = layer.Apply(context.Background(), dir, &b, layer.Options{})
	fmt.Println(errors.Is(err, layer.ErrUnsafe) || runtime.GOOS != "linux")
	// Output: true
}

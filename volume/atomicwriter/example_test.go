package atomicwriter_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/lifepod/lifepod/volume/atomicwriter"
)

func Example() {
	dir, err := os.MkdirTemp("", "volume")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for _, content := range []string{"debug", "debug", "info"} {
		changed, err := atomicwriter.Write(dir, map[string]atomicwriter.File{"log/level": {Data: []byte(content), Mode: 0o644}}, nil)
		b, _ := os.ReadFile(filepath.Join(dir, "log", "level"))
		fmt.Println(string(b), "changed:", changed, err)
	}
	link, _ := os.Readlink(filepath.Join(dir, "log"))
	fmt.Println("log ->", link)
	// Output:
	// debug changed: true <nil>
	// debug changed: false <nil>
	// info changed: true <nil>
	// log -> ..data/log
}

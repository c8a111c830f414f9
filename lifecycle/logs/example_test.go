package logs_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/lifepod/lifepod/lifecycle/logs"
)

func ExampleRead() {
	dir, err := os.MkdirTemp("", "logs")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	log := filepath.Join(dir, "0.log")
	content := "2026-01-02T03:04:05.000000006Z stdout P Hello, \n2026-01-02T03:04:05.000000007Z stdout F world\n"
	if err := os.WriteFile(log, []byte(content), 0o600); err != nil {
		panic(err)
	}
	for line, err := range logs.Read(log) {
		fmt.Printf("%s %v %q %v\n", line.Stream, line.Partial, line.Text, err)
	}
	// Output:
	// stdout true "Hello, " <nil>
	// stdout false "world" <nil>
}

package cli_test

import (
	"fmt"

	"github.com/lifepod/lifepod/container/cli"
)

func ExampleOpen() {
	_, err := cli.Open(cli.Options{Path: "no-such-runtime"})
	fmt.Println(err)
	// Output: open runtime: exec: "no-such-runtime": executable file not found in $PATH: install it or set Options.Path
}

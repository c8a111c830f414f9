// Command lifepod-supervisor is the process that lifepod starts to be the parent
// of containers. Put it beside the program that uses lifepod, or in ../libexec;
// it is not started by hand.
package main

import (
	"fmt"
	"os"

	_ "github.com/lifepod/lifepod/container/runc/reexec" // everything happens there
)

func main() {
	fmt.Fprintln(os.Stderr, "lifepod-supervisor is started by programs that use lifepod, not by hand.\n"+
		"Put it into the same directory as such a program, or into ../libexec beside it.")
	os.Exit(2)
}

// Command tracecheck holds lifepod against recordings of the real kubelet:
//
//	go run ./internal/tracecheck DIR
//
// Every scenario in the *.jsonl.gz files of DIR is a pod with a script of what
// its containers do, and what a kubelet did with it: its calls of the runtime,
// the statuses and the events that it published. lifepod lives the same pod on a
// fake runtime that follows the script, on simulated time, and what it did is
// put into the recordings' normal form and compared.
//
// A scenario is equal, equal but for differences that are meant (each kind has a
// rule in kinds.go and a row with its reason in DIFFERENCES.md), or it differs.
// One that was recorded several times has to be equal to one recording: the
// kubelet's own differ among themselves. The exit code is 1 when a scenario
// differs that known.go does not name, 2 when DIR cannot be read.
package main

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// shown is how many differences of a scenario are printed.
const shown = 3

func main() {
	testing.Init() // simulated time needs a test to run in
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: tracecheck DIR") }
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	list, err := read(flag.Arg(0))
	if err != nil {
		fmt.Fprintln(os.Stderr, "tracecheck:", err)
		os.Exit(2)
	}
	all := func(string, string) (bool, error) { return true, nil }
	testing.Main(all, []testing.InternalTest{{Name: "tracecheck", F: func(t *testing.T) {
		os.Exit(tell(check(list, func(name string, f func(*testing.T)) { t.Run(name, f) })))
	}}}, nil, nil)
}

// tell prints what was found and returns the exit code.
func tell(results []result) int {
	equal, code := 0, 0
	for _, r := range results {
		fmt.Print(r)
		switch {
		case r.equal():
			equal++
		case r.known() == "":
			code = 1
		}
	}
	fmt.Printf("%d of %d equal\n", equal, len(results))
	return code
}

// Command corpuscheck runs golden data from the real Kubernetes code against
// lifepod:
//
//	go run ./internal/corpuscheck DIR
//
// Every file NAME.jsonl or NAME.jsonl.gz in DIR is read; the letters that NAME
// begins with say what is in it (phase, qos, vectors, ...). For each kind it
// prints how many lines lifepod answers the same, and the first differences. It
// exits 1 when anything differs, 2 when a file cannot be read. Kinds that
// lifepod has no code for yet are named and do not count.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: corpuscheck DIR")
		os.Exit(2)
	}
	results, err := checkDir(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "corpuscheck:", err)
		os.Exit(2)
	}
	differs := false
	for _, r := range results {
		fmt.Print(r)
		differs = differs || r.differs()
	}
	if differs {
		os.Exit(1)
	}
}

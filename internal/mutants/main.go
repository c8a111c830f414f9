// Command mutants breaks lifecycle/plan in small ways, one line at a time, and
// fails if its tests do not notice. The breakages are in plan.mutants: a file, a
// line as it is and the line that takes its place.
//
//	go run ./internal/mutants [-run text] [-v]
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

const pkg = "lifecycle/plan"

func main() {
	only := flag.String("run", "", "only mutants whose line or replacement contains `text`")
	verbose := flag.Bool("v", false, "tell what killed each mutant")
	flag.Parse()
	if err := run(*only, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(only string, verbose bool) error {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output() //nolint:noctx // the whole program ends with it
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	lab := lab{root: strings.TrimSpace(string(root))}
	if lab.dir, err = os.MkdirTemp("", "mutants"); err != nil {
		return err
	}
	defer os.RemoveAll(lab.dir)
	list, err := load(lab.root)
	if err != nil {
		return err
	}
	start := time.Now()
	results := make([]verdict, len(list))
	var wg sync.WaitGroup
	slots := make(chan struct{}, max(1, runtime.NumCPU()))
	for i, m := range list {
		if !strings.Contains(m.old+m.new, only) {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results[i] = lab.try(i, m)
		})
	}
	wg.Wait()
	return report(list, results, verbose, time.Since(start))
}

func report(list []mutant, results []verdict, verbose bool, took time.Duration) error {
	tried, bad := 0, 0
	for i, r := range results {
		switch {
		case r.err == nil && r.by == "":
			continue // not selected
		case r.err != nil:
			bad++
			fmt.Printf("%s:\n  - %s\n  + %s\n  %v\n", list[i].file, list[i].old, list[i].new, r.err)
		case verbose:
			fmt.Printf("killed by %-28s %s: %s\n", r.by, list[i].file, list[i].new)
		}
		tried++
	}
	fmt.Printf("%d mutants, %d killed, %v\n", tried, tried-bad, took.Round(time.Second))
	if bad > 0 {
		return fmt.Errorf("%d of %d mutants live", bad, tried)
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/lifepod/lifepod/bench/internal/stamped"
)

// subject is one way to run the pod.
type subject struct {
	name string
	// start returns how long it took to the first statement of the pod's program,
	// and what removes the pod.
	start func(ctx context.Context, name string) (time.Duration, func(ctx context.Context) error, error)
}

// figures are what was measured of one subject.
type figures struct {
	start, removal       []time.Duration
	startCPU, removalCPU time.Duration
}

// compare measures all subjects in turn and prints the table.
func compare(ctx context.Context, all []subject) error {
	got := make([]figures, len(all))
	for i := range warmUp + *samples {
		for k, s := range all {
			var f figures
			if err := f.measure(ctx, s, fmt.Sprintf("p%d-%d", k, i)); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if i >= warmUp {
				got[k].add(f)
			}
		}
	}
	fmt.Println("| ms | min | p50 | p90 | p99 | max | CPU |\n|---|---|---|---|---|---|---|")
	for k, s := range all {
		row(s.name+": start", got[k].start, got[k].startCPU)
	}
	for k, s := range all {
		row(s.name+": stop and remove", got[k].removal, got[k].removalCPU)
	}
	return nil
}

func (f *figures) measure(ctx context.Context, s subject, name string) error {
	before := cpu()
	took, remove, err := s.start(ctx, name)
	if err != nil {
		return fmt.Errorf("start pod %s: %w", name, err)
	}
	started := cpu()
	began := time.Now()
	if err := remove(ctx); err != nil {
		return fmt.Errorf("remove pod %s: %w", name, err)
	}
	f.start, f.removal = []time.Duration{took}, []time.Duration{time.Since(began)}
	f.startCPU, f.removalCPU = started-before, cpu()-started
	return nil
}

func (f *figures) add(g figures) {
	f.start, f.removal = append(f.start, g.start...), append(f.removal, g.removal...)
	f.startCPU, f.removalCPU = f.startCPU+g.startCPU, f.removalCPU+g.removalCPU
}

func row(name string, all []time.Duration, cpu time.Duration) {
	fmt.Printf("| %s | %s | %s |\n", name, stamped.Cells(all), stamped.Ms(cpu/time.Duration(len(all))))
}

// cpu is the time that all processes of this namespace have used so far, those
// that ended with their parents'.
func cpu() time.Duration {
	const tick = 10 * time.Millisecond // USER_HZ is 100 everywhere
	var ticks int64
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		for i, field := range strings.Fields(rest) {
			if i >= 11 && i <= 14 { // utime, stime, cutime, cstime
				n, _ := strconv.ParseInt(field, 10, 64)
				ticks += n
			}
		}
	}
	return time.Duration(ticks) * tick
}

func version(ctx context.Context, runc string) string {
	out, err := exec.CommandContext(ctx, runc, "--version").Output()
	if err != nil {
		return runc
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return strings.Replace(first, " version", "", 1)
}

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lifepod/lifepod/bench/internal/stamped"
	"github.com/lifepod/lifepod/lifecycle/local"
)

// latencies starts and removes pods one after another, after a warm-up.
func (b *bench) latencies(ctx context.Context) error {
	var starts, removals []time.Duration
	phases := map[string][]time.Duration{}
	for i := range *samples + 1 {
		h, took, err := b.start(ctx)
		if err != nil {
			return err
		}
		spans := h.Timeline()
		began := time.Now()
		if err := h.Stop(ctx); err != nil {
			return err
		}
		removed := time.Since(began)
		if i == 0 {
			continue // a warm-up
		}
		starts, removals = append(starts, took), append(removals, removed)
		for _, s := range spans {
			phases[s.Name] = append(phases[s.Name], s.End.Sub(s.Start))
		}
	}
	fmt.Println("| ms | min | p50 | p90 | p99 | max |\n|---|---|---|---|---|---|")
	row("pod start", starts)
	row("stop and remove", removals)
	for _, name := range sorted(phases) {
		row("– "+name, phases[name])
	}
	fmt.Println()
	return nil
}

func sorted(m map[string][]time.Duration) []string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func row(name string, all []time.Duration) { fmt.Printf("| %s | %s |\n", name, stamped.Cells(all)) }

// memory measures the supervisor with one idle pod and with many.
func (b *bench) memory(ctx context.Context) error {
	var pods []*local.Handle
	for i := range *many {
		h, _, err := b.start(ctx)
		if err != nil {
			return err
		}
		pods = append(pods, h)
		if i == 0 {
			if err := b.report("1 pod"); err != nil {
				return err
			}
		}
	}
	if err := b.report(fmt.Sprintf("%d pods", *many)); err != nil {
		return err
	}
	for range *upgrades {
		if err := local.UpgradeSupervisor(ctx, b.options); err != nil {
			return err
		}
	}
	if *upgrades > 0 {
		if err := b.report(fmt.Sprintf("%d pods, after %d upgrades", *many, *upgrades)); err != nil {
			return err
		}
	}
	for _, h := range pods {
		if err := h.Stop(ctx); err != nil {
			return err
		}
	}
	return nil
}

// restAfter is when a supervisor has come to rest: it gives memory back after a
// second.
const restAfter = 2 * time.Second

func (b *bench) report(when string) error {
	time.Sleep(restAfter)
	pid, err := b.supervisorPID()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return err
	}
	kib := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[2] == "kB" {
			kib[f[0]], _ = strconv.ParseFloat(f[1], 64)
		}
	}
	fmt.Printf("supervisor with %s: %.1f MiB PSS, %.1f MiB anonymous, %.1f MiB private dirty\n",
		when, kib["Pss:"]/1024, kib["Anonymous:"]/1024, kib["Private_Dirty:"]/1024)
	return nil
}

// supervisorPID finds the process by its command line: lifepod-supervisor RUN.
func (b *bench) supervisorPID() (int, error) {
	run := cmp.Or(b.options.Run, "/run/lifepod-"+local.RootID(b.root))
	procs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	for _, p := range procs {
		text, _ := os.ReadFile(p)
		if args := strings.Split(strings.TrimRight(string(text), "\x00"), "\x00"); slices.Contains(args, run) {
			return strconv.Atoi(filepath.Base(filepath.Dir(p)))
		}
	}
	return 0, fmt.Errorf("no supervisor for %s", run)
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/lifepod/lifepod/lifecycle/local"
)

// idle watches agent and supervisor while 20 pods without probes do nothing.
func (b *bench) idle(ctx context.Context) error {
	var pods []*local.Handle
	for range 20 {
		h, _, err := b.start(ctx)
		if err != nil {
			return err
		}
		pods = append(pods, h)
	}
	time.Sleep(5 * time.Second) // what a start leaves to be done
	runtime.GC()
	supervisor, err := b.supervisorPID()
	if err != nil {
		return err
	}
	watched := []struct {
		name string
		pid  int
	}{{"agent", os.Getpid()}, {"supervisor", supervisor}}
	var cpu []time.Duration
	var switches []int64
	for _, w := range watched {
		c, n, err := usage(w.pid)
		if err != nil {
			return err
		}
		cpu, switches = append(cpu, c), append(switches, n)
	}
	time.Sleep(*idle)
	for i, w := range watched {
		c, n, err := usage(w.pid)
		if err != nil {
			return err
		}
		fmt.Printf("%s with 20 idle pods over %v: %v CPU, %d voluntary context switches\n", w.name, *idle, c-cpu[i], n-switches[i])
	}
	for _, h := range pods {
		if err := h.Stop(ctx); err != nil {
			return err
		}
	}
	return nil
}

// usage sums CPU time and voluntary switches over all threads.
func usage(pid int) (cpu time.Duration, switches int64, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		return 0, 0, err
	}
	for _, t := range tasks {
		sched, err := os.ReadFile(t + "/schedstat")
		if err != nil {
			continue // the thread has ended
		}
		ns, _ := strconv.ParseInt(strings.Fields(string(sched))[0], 10, 64)
		cpu += time.Duration(ns)
		status, _ := os.ReadFile(t + "/status")
		for line := range strings.Lines(string(status)) {
			if rest, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				n, _ := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
				switches += n
			}
		}
	}
	return cpu, switches, nil
}

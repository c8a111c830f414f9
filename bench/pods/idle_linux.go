package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
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
	supervisor, err := b.supervisorPID()
	if err != nil {
		return err
	}
	if err := watch(ctx, os.Getpid(), supervisor); err != nil {
		return err
	}
	for _, h := range pods {
		if err := h.Stop(ctx); err != nil {
			return err
		}
	}
	return nil
}

// watch has another process look at agent and supervisor, since looking costs more
// than they may, and waits for what it saw.
func watch(ctx context.Context, agent, supervisor int) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-idle", idle.String(), "-watch", fmt.Sprintf("%d,%d", agent, supervisor))
	cmd.Stderr = os.Stderr
	begin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	seen, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	time.Sleep(time.Second) // until it waits for the word
	runtime.GC()
	time.Sleep(100 * time.Millisecond) // until its threads are at rest, too
	if err := begin.Close(); err != nil {
		return err
	}
	text, err := io.ReadAll(seen)
	fmt.Printf("%s", text)
	return errors.Join(err, cmd.Wait())
}

// watcher is that other process.
func watcher(pids string) error {
	if _, err := io.ReadAll(os.Stdin); err != nil {
		return err
	}
	names := []string{"agent", "supervisor"}
	var cpu []time.Duration
	var switches []int64
	for i, pid := range strings.Split(pids, ",") {
		c, n, err := usage(pid)
		if err != nil {
			return fmt.Errorf("%s: %w", names[i], err)
		}
		cpu, switches = append(cpu, c), append(switches, n)
	}
	time.Sleep(*idle)
	for i, pid := range strings.Split(pids, ",") {
		c, n, err := usage(pid)
		if err != nil {
			return fmt.Errorf("%s: %w", names[i], err)
		}
		fmt.Printf("%s with 20 idle pods over %v: %v CPU, %d voluntary context switches\n", names[i], *idle, c-cpu[i], n-switches[i])
	}
	return nil
}

// usage sums CPU time and voluntary switches over all threads.
func usage(pid string) (cpu time.Duration, switches int64, err error) {
	tasks, err := filepath.Glob("/proc/" + pid + "/task/*")
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

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"github.com/lifepod/lifepod/image"
)

// figures are what one pull took.
type figures struct {
	// Wall is from the open store to the mounted root, CPU all of the processes
	// that took part. Second is a second pull of the same digest.
	Wall, CPU, Second time.Duration
	// Idle and Peak are bytes of memory before the pull and at most, 0 if unknown.
	Idle, Peak int64
}

// pullOnce is the process that is measured as lifepod: it pulls into an empty
// store, mounts, and prints its figures.
func pullOnce(ctx context.Context, dir, name string, noSync bool) (err error) {
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	s, err := image.Open(dir, image.Options{NoSync: noSync})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var f figures
	if f.Idle, err = memory(os.Getpid(), "VmRSS"); err != nil {
		return err
	}
	target := filepath.Join(dir, "mounted")
	began := time.Now()
	img, err := s.Pull(ctx, name, image.PullOptions{})
	if err != nil {
		return err
	}
	mounts, err := s.Prepare(ctx, "bench", img.ID)
	if err != nil {
		return err
	}
	if err := os.Mkdir(target, 0o755); err != nil {
		return err
	}
	if err := image.MountAll(mounts, target); err != nil {
		return err
	}
	f.Wall = time.Since(began)
	f.CPU = ownCPU()
	began = time.Now()
	if _, err := s.Pull(ctx, img.Digests[0], image.PullOptions{}); err != nil {
		return err
	}
	f.Second = time.Since(began)
	if f.Peak, err = memory(os.Getpid(), "VmHWM"); err != nil {
		return err
	}
	if err := image.Unmount(target); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}

// lifepod is the subject: pullOnce in a process of its own.
func lifepod(ctx context.Context, dir, name string, noSync bool) (figures, error) {
	args := []string{"pull", filepath.Join(dir, "store"), name}
	if noSync {
		args = append([]string{"-nosync"}, args...)
	}
	if *profile != "" {
		args = append([]string{"-profile", *profile}, args...)
	}
	return child(exec.CommandContext(ctx, "/proc/self/exe", args...))
}

// child runs a program that prints its figures.
func child(cmd *exec.Cmd) (f figures, err error) {
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &f)
	}
	if err != nil {
		return f, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return f, nil
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory reads one field of a process' status, in bytes.
func memory(pid int, field string) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), field+":")
	var kib int64
	if _, err := fmt.Sscanf(rest, "%d kB", &kib); err != nil {
		return 0, fmt.Errorf("%s of process %d: %w", field, pid, err)
	}
	return kib << 10, nil
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const module = "github.com/lifepod/lifepod/"

// helpers are programs that tests run in containers or beside them: the
// variables that name the built ones (or their directory), where they lie below
// cache/bin, and what they are built of.
var helpers = []struct{ env, file, pkg, cgo string }{
	{"LIFEPOD_SUPERVISOR_PROGRAM", "programs/supervisor", "cmd/lifepod-supervisor", "1"},
	{"LIFEPOD_DEMO", "programs/demo", "examples/pods/demo", "0"},
	{"LIFEPOD_TESTBOX", "programs/testbox", "container/containertest/testbox", "0"},
	{"", "programs/task", "cri/critest/testdata/task", "0"},
	{"LIFEPOD_CRI_PROGRAMS", "programs", "", ""}, // supervisor and task
}

// prebuild builds the helpers and sets their variables, which the machine
// inherits.
func prebuild(ctx context.Context, cache string) error {
	for _, h := range helpers {
		file := filepath.Join(cache, "bin", h.file)
		if h.pkg != "" {
			cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, module+h.pkg)
			cmd.Env = append(os.Environ(), "CGO_ENABLED="+h.cgo, "GOFLAGS=-buildvcs=false")
			cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("build %s: %w", h.pkg, err)
			}
		}
		if h.env == "" || os.Getenv(h.env) != "" {
			continue
		}
		if err := os.Setenv(h.env, file); err != nil {
			return err
		}
	}
	return nil
}

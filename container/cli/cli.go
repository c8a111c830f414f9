package cli

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-logr/logr"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc"
)

// Options say which program to call, and where containers are kept. The zero
// value calls runc and keeps them in the default places of package
// container/runc, whose Options tell more of the fields that both have.
type Options struct {
	// Path is the program: a path, or a name that is looked for in PATH. Empty
	// means runc.
	Path string
	// Args are global arguments for every call of it, before the command.
	Args []string

	Root, Run, CgroupRoot string
	Supervisor            string
	LogDirs               []string
	SupervisorIdle        time.Duration
	Log                   logr.Logger
}

// Runtime is a connection to the supervisor of one root, which calls the
// program. All methods are safe for concurrent use.
type Runtime struct{ *runc.Runtime }

var _ container.Runtime = (*Runtime)(nil)

// Open looks for the program and checks the options. It starts nothing yet.
func Open(o Options) (*Runtime, error) {
	name := o.Path
	if name == "" {
		name = "runc"
	}
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open runtime: %w: install it or set Options.Path", err)
	}
	r, err := runc.Open(runc.Options{
		Root: o.Root, Run: o.Run, CgroupRoot: o.CgroupRoot, Supervisor: o.Supervisor,
		LogDirs: o.LogDirs, SupervisorIdle: o.SupervisorIdle, Log: o.Log,
		Runtime: slices.Concat([]string{path}, o.Args),
	})
	if err != nil {
		return nil, err
	}
	return &Runtime{r}, nil
}

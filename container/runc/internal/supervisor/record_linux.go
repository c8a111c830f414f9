package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/internal/sys"
)

// Phases of a container's record. Whatever is found creating or deleting after
// a crash is removed.
const (
	phaseCreating = "creating"
	phaseCreated  = "created"
	phaseStarting = "starting"
	phaseRunning  = "running"
	phaseDeleting = "deleting"
)

// record is what a supervisor must know of a container that an earlier one
// started. The spec lies beside it, as it never changes.
type record struct {
	Boot      string    `json:"boot"`
	Phase     string    `json:"phase"`
	CreatedAt time.Time `json:"createdAt"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	Pid       int       `json:"pid,omitempty"`
	StartTime uint64    `json:"startTime,omitempty"`
	// Waiting is the process's name before its program has been executed.
	Waiting string `json:"waiting,omitempty"`
	// Runtime is the OCI runtime program that made it; empty is libcontainer.
	Runtime []string `json:"runtime,omitempty"`
	// StartErr is the error that starting will end with.
	StartErr string `json:"startErr,omitempty"`
}

// exitRecord is on disk before anyone is told that a container has stopped.
type exitRecord struct {
	FinishedAt time.Time `json:"finishedAt"`
	ExitCode   int       `json:"exitCode"`
	Unknown    bool      `json:"unknown,omitempty"`
	OOMKilled  bool      `json:"oomKilled,omitempty"`
	LogDropped uint64    `json:"logDropped,omitempty"`
}

const (
	specFile   = "spec.json"
	recordFile = "record.json"
	exitFile   = "exit.json"
	execDir    = "execs"
)

// writeJSON also replaces a file, as a container's record is at each step of its
// life.
func writeJSON(dir, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return sys.Rewrite(filepath.Join(dir, name), b, 0o600)
}

func readJSON(dir, name string, v any) error {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("parse %s: %w", filepath.Join(dir, name), err)
	}
	return nil
}

// stored is a container as it lies on disk.
type stored struct {
	spec container.Spec
	rec  record
	exit *exitRecord
}

func load(dir string) (stored, error) {
	var st stored
	if err := readJSON(dir, recordFile, &st.rec); err != nil {
		return st, err
	}
	if err := readJSON(dir, specFile, &st.spec); err != nil {
		return st, err
	}
	var x exitRecord
	if err := readJSON(dir, exitFile, &x); err == nil {
		st.exit = &x
	} else if !errors.Is(err, fs.ErrNotExist) {
		return st, err
	}
	return st, nil
}

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return string(b)
}

package sys

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// FailpointEnv names the environment variable that arms one failpoint:
//
//	<effect>:<before|after>:<kill|error>[:<n>[:<gate>]]
//	trace:<file>
//
// The n-th time (from 1, the default) that the program reaches the point, it
// kills itself with SIGKILL, or the effect returns [ErrFailpoint]. With a gate, a
// file, only what is reached while the file exists counts, and the point takes
// the file away: of several processes, and of those that follow, one is hit.
// With trace, each point that is reached is appended to the file as a line.
const FailpointEnv = "LIFEPOD_FAILPOINT"

// ErrFailpoint is what an effect returns when its failpoint is armed with "error".
var ErrFailpoint = errors.New("failpoint")

// Effect is one named kind of effect outside the process. Its methods are safe
// for concurrent use.
type Effect struct{ name string }

var (
	effectsMu sync.Mutex
	effects   = map[string]bool{}
)

// NewEffect registers an effect. Names look like "package/what"; a name that is
// taken panics, since a failpoint must lead to one place.
func NewEffect(name string) *Effect {
	effectsMu.Lock()
	defer effectsMu.Unlock()
	if effects[name] {
		panic("sys: effect " + name + " is declared twice")
	}
	effects[name] = true
	return &Effect{name}
}

// Effects returns the names of all effects in this program, sorted.
func Effects() []string {
	effectsMu.Lock()
	defer effectsMu.Unlock()
	var names []string
	for n := range effects {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Do runs f between the effect's two failpoints.
func (e *Effect) Do(f func() error) error {
	if err := hit(e.name, "before"); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	return hit(e.name, "after")
}

type failpoint struct {
	effect, when, action string
	file                 string // the gate, or what to trace to
	left                 atomic.Int64
}

var armed = sync.OnceValue(func() *failpoint { return parseFailpoint(os.Getenv(FailpointEnv)) })

func parseFailpoint(s string) *failpoint {
	if file, ok := strings.CutPrefix(s, "trace:"); ok {
		return &failpoint{action: "trace", file: file}
	}
	parts := strings.SplitN(s, ":", 5)
	if len(parts) < 3 {
		return nil
	}
	fp := &failpoint{effect: parts[0], when: parts[1], action: parts[2]}
	n := int64(1)
	if len(parts) > 3 {
		if v, err := strconv.ParseInt(parts[3], 10, 64); err == nil && v > 0 {
			n = v
		}
	}
	if len(parts) > 4 {
		fp.file = parts[4]
	}
	fp.left.Store(n)
	return fp
}

func hit(effect, when string) error {
	fp := armed()
	switch {
	case fp == nil:
		return nil
	case fp.action == "trace":
		return fp.trace(effect, when)
	case fp.effect != effect || fp.when != when || !fp.open() || fp.left.Add(-1) != 0:
		return nil
	case fp.file != "" && os.Remove(fp.file) != nil:
		return nil //nolint:nilerr // another process was hit
	case fp.action == "error":
		return fmt.Errorf("%s %s: %w", when, effect, ErrFailpoint)
	}
	killSelf()
	return nil
}

// open tells whether there is no gate, or it is there.
func (fp *failpoint) open() bool {
	if fp.file == "" {
		return true
	}
	_, err := os.Lstat(fp.file)
	return err == nil
}

func (fp *failpoint) trace(effect, when string) error {
	f, err := os.OpenFile(fp.file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(effect + ":" + when + "\n")
	return err
}

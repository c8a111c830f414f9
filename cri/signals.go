package cri

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// signalName is a signal of the protocol as images write it, SIGRTMIN+3 say.
func signalName(s runtimeapi.Signal) string {
	if s == runtimeapi.Signal_SIGNAL_RUNTIME_DEFAULT {
		return "SIGTERM"
	}
	name := strings.TrimPrefix(runtimeapi.Signal_name[int32(s)], "SIGNAL_")
	return strings.NewReplacer("MINPLUS", "MIN+", "MAXMINUS", "MAX-").Replace(name)
}

// criSignal is the protocol's signal of a name in an image or message.
func criSignal(name string) runtimeapi.Signal {
	if name == "" {
		return runtimeapi.Signal_SIGNAL_SIGTERM
	}
	name = strings.ToUpper(name)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	return runtimeapi.Signal(runtimeapi.Signal_value["SIGNAL_"+strings.NewReplacer("MIN+", "MINPLUS", "MAX-", "MAXMINUS").Replace(name)])
}

// The signals are Linux's, whatever system this is compiled on.
const (
	sigkill      = syscall.Signal(9)
	sigterm      = syscall.Signal(15)
	rtmin, rtmax = 34, 64
)

var linuxSignals = strings.Fields("HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP " +
	"TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS")

var otherNames = map[string]string{"CLD": "CHLD", "IOT": "ABRT", "POLL": "IO", "UNUSED": "SYS"}

// parseSignal takes "SIGTERM", "term", "15", "RTMIN+3".
func parseSignal(s string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if n < 1 || n > rtmax {
			return 0, fmt.Errorf("invalid signal: %s", s)
		}
		return syscall.Signal(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if other, ok := otherNames[name]; ok {
		name = other
	}
	for i, n := range linuxSignals {
		if n == name {
			return syscall.Signal(i + 1), nil
		}
	}
	for prefix, from := range map[string]int{"RTMIN": rtmin, "RTMAX": rtmax} {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		off := 0
		if rest != "" {
			var err error
			if off, err = strconv.Atoi(rest); err != nil {
				break
			}
		}
		if n := from + off; n >= rtmin && n <= rtmax {
			return syscall.Signal(n), nil
		}
	}
	return 0, fmt.Errorf("invalid signal: %s", s)
}

// signalled remembers which containers had their stop signal, so that a second
// stop does not send it again. Its zero value works.
type signalled struct {
	mu  sync.Mutex
	ids map[string]bool
}

// once runs send if it was not run for id yet. A failed one does not count.
func (s *signalled) once(ctx context.Context, id string, send func(context.Context) error) error {
	s.mu.Lock()
	if s.ids == nil {
		s.ids = map[string]bool{}
	}
	had := s.ids[id]
	s.ids[id] = true
	s.mu.Unlock()
	if had {
		return nil
	}
	err := send(ctx)
	if err != nil {
		s.forget(id)
	}
	return err
}

func (s *signalled) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ids, id)
}

package plan

import (
	"fmt"
	"strings"
	"time"
)

// Pauses after failures. A mount's pause doubles, as the kubelet's does.
const (
	errorPause    = 10 * time.Second
	mountPause    = 500 * time.Millisecond
	mountPauseMax = 2*time.Minute + 2*time.Second
	stopPause     = time.Second
)

// retryKey tells apart actions that share a key: a failed setup must not hold up
// the teardown.
func retryKey(a Action) string {
	return strings.TrimPrefix(fmt.Sprintf("%T ", a), "plan.") + string(a.Key())
}

// failed puts off the next try of an action.
func (s *state) failed(r Result) {
	k := retryKey(r.Action)
	old := s.mem.Retry[k]
	next := Retry{Delay: errorPause}
	switch r.Action.(type) {
	case SetUpVolumes, TearDownVolumes:
		next.Delay = min(max(2*old.Delay, mountPause), mountPauseMax)
	case StopContainer:
		next.Delay = stopPause
	}
	next.Until = r.Ended.Add(next.Delay)
	put(&s.mem.Retry, k, next)
}

func (s *state) succeeded(r Result) { delete(s.mem.Retry, retryKey(r.Action)) }

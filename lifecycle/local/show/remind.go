package show

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lifepod/lifepod/lifecycle/local"
)

// patience is how long a phase of a start may take before it is said that it is
// waited for; then for twice as long, and so on.
const patience = 5 * time.Second

// remind says what a start waits for, until ctx ends.
func (s *Show) remind(ctx context.Context, p Pod) {
	for wait := patience; ; wait *= 2 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		s.do(func() {
			if slow := slow(p.Timeline(), time.Now()); slow != "" && ctx.Err() == nil {
				s.v.waits(p, slow)
			}
		})
	}
}

// slow names the phases that have been under way for nearly as long as patience.
func slow(spans []local.Span, now time.Time) string {
	var names []string
	for _, phase := range local.Phases(spans, now) {
		since := phase.Parts[len(phase.Parts)-1].Start
		if took := now.Sub(since); phase.Open && phase.Name != local.PhaseReady && took > patience*9/10 {
			names = append(names, fmt.Sprintf("%s (%.0f s)", strings.TrimSpace(phase.Name+" "+phase.Container), took.Seconds()))
		}
	}
	if names == nil {
		return ""
	}
	return "waiting for " + strings.Join(names, ", ")
}

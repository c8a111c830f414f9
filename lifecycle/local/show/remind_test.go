package show_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lifepod/lifepod/lifecycle/local"
	"github.com/lifepod/lifepod/lifecycle/local/show"
)

// What a start waits for is said after 5 s, 15 s, 35 s, …, and not once it is Ready.
func TestSlowStart(t *testing.T) {
	for name, want := range map[string]int{"not yet Ready": 3, "Ready": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pod := aStory("web")
				pod.hold = make(chan struct{})
				if want > 0 {
					pod.statuses = pod.statuses[:1]
				}
				pod.spans = []local.Span{
					{Name: local.PhaseReady, Start: time.Now()},
					{Name: "SetUpVolumes", Start: time.Now(), End: time.Now()},
					{Name: "PullImage", Container: "app", Start: time.Now()},
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var b bytes.Buffer
				show.New(&b, show.Options{}).Follow(ctx, pod)
				if n := strings.Count(b.String(), "web  waiting for image app ("); n != want {
					t.Errorf("said %d times, want %d:\n%s", n, want, b.String())
				}
				if want > 0 && !strings.Contains(b.String(), "5.000s web  waiting for image app (5 s)\n") {
					t.Errorf("said\n%s", b.String())
				}
			})
		})
	}
}

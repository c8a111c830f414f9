package image_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/lifepod/lifepod/image"
)

var phases = []image.Phase{image.Waiting, image.Fetching, image.Unpacking, image.Done}

// reportAll reports layers that go through all phases, side by side.
func reportAll(layers, steps int, report func(image.Progress)) {
	for _, phase := range phases {
		for n := range steps {
			for i := range layers {
				report(image.Progress{Index: i, Phase: phase, Bytes: int64(n), Total: int64(steps)})
			}
		}
	}
}

// A reader that comes late gets of each phase of a layer one value, the last, in
// order; the work has not waited for it.
func TestFollowSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := map[int][]image.Phase{}
		worked := false
		for p, err := range image.Follow(t.Context(), func(_ context.Context, report func(image.Progress)) error {
			reportAll(3, 1000, report)
			worked = true
			return nil
		}) {
			synctest.Wait() // all that can go on without the reader has
			if !worked {
				t.Fatal("the work waits for its reader")
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(got[p.Index]) > 0 && p.Bytes != 999 { // the very first may be any
				t.Errorf("%+v is not the last of its phase", p)
			}
			got[p.Index] = append(got[p.Index], p.Phase)
		}
		for i := range 3 {
			if order := slices.Compact(got[i]); !slices.Equal(order, phases) || len(got[i]) > len(phases)+1 {
				t.Errorf("layer %d: %v", i, got[i])
			}
		}
	})
}

// Whatever the reader does, nobody is left behind: a bubble ends only when all of
// its goroutines have.
func TestFollowEnds(t *testing.T) {
	failed := errors.New("failed")
	for name, c := range map[string]struct {
		after int // values, then the reader breaks off
		want  error
	}{"to the end": {1000, failed}, "at once": {0, nil}, "in the middle": {2, nil}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := false
				seq := image.Follow(t.Context(), func(ctx context.Context, report func(image.Progress)) error {
					defer func() { ended = true }()
					reportAll(2, 1, report)
					if c.want == nil {
						<-ctx.Done() // or it would end by itself
					}
					return failed
				})
				var last error
				n := 0
				for _, last = range seq {
					if n++; n > c.after {
						break
					}
				}
				if !ended || !errors.Is(last, c.want) {
					t.Errorf("ended %t, %v", ended, last)
				}
			})
		})
	}
}

// A phase that comes back, as of a blob that was damaged, is told again.
func TestFollowKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := []image.Phase{image.Waiting, image.Unpacking, image.Fetching, image.Unpacking, image.Done}
		var got []image.Phase
		for p, err := range image.Follow(t.Context(), func(_ context.Context, report func(image.Progress)) error {
			for _, phase := range want {
				report(image.Progress{Phase: phase})
			}
			return nil
		}) {
			synctest.Wait()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p.Phase)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v", got)
		}
	})
}

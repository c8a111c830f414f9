package image_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/remote"
)

// follow reads a pull to its end.
func follow(t *testing.T, s *image.Store, name string) map[int][]image.Progress {
	t.Helper()
	seen := map[int][]image.Progress{}
	for p, err := range s.Pulling(t.Context(), name, image.PullOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		seen[p.Index] = append(seen[p.Index], p)
	}
	return seen
}

func phasesOf(steps []image.Progress) (order []image.Phase) {
	for _, p := range steps {
		order = append(order, p.Phase)
	}
	return slices.Compact(order)
}

// Each layer goes through its phases in order, its bytes grow, and they end as
// the size that the manifest says.
func TestPulling(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	img := imagetest.Random(1, 5, 60_000)
	built, err := img.Build()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reg.Add("a:1", img); err != nil {
		t.Fatal(err)
	}
	reg.On("/blobs/", imagetest.Slow(20_000, time.Millisecond))
	checkSteps(t, follow(t, s, host+"/a:1"), built, []image.Phase{image.Waiting, image.Fetching, image.Unpacking, image.Done})
	if again := follow(t, s, host+"/a:1"); len(again) != 0 {
		t.Errorf("a second pull did %v", again)
	}
	if _, err := s.Get(t.Context(), host+"/a:1"); err != nil {
		t.Error(err)
	}
	if _, err := reg.Add("b:1", with(img, "more")); err != nil {
		t.Fatal(err)
	}
	checkSteps(t, follow(t, s, host+"/b:1"), built, []image.Phase{image.Waiting, image.Done})
}

func with(img imagetest.Image, author string) imagetest.Image {
	img.Config.Author = author
	return img
}

func checkSteps(t *testing.T, seen map[int][]image.Progress, built imagetest.Built, want []image.Phase) {
	t.Helper()
	if got := len(seen); got != len(built.Layers) {
		t.Fatalf("%d layers, the image has %d", got, len(built.Layers))
	}
	for i, steps := range seen {
		if got := phasesOf(steps); !slices.Equal(got, want) {
			t.Errorf("layer %d: %v, want %v", i, got, want)
		}
		var bytes int64
		for _, p := range steps {
			if p.Bytes < bytes || p.Bytes > p.Total || p.Total != built.Layers[i].Size || p.Layer != built.Layers[i].Digest.String() {
				t.Errorf("layer %d of %d bytes: %+v after %d bytes", i, built.Layers[i].Size, p, bytes)
			}
			bytes = p.Bytes
		}
		if bytes != built.Layers[i].Size {
			t.Errorf("layer %d ended at %d bytes of %d", i, bytes, built.Layers[i].Size)
		}
	}
}

// A loop's body that takes its time does not hold the pull up: this one lasts
// until the image is there.
func TestPullingWaitsForNobody(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	if _, err := reg.Add("a:1", imagetest.Random(1, 4, 50_000)); err != nil {
		t.Fatal(err)
	}
	seen := map[int][]image.Progress{}
	for p, err := range s.Pulling(t.Context(), host+"/a:1", image.PullOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := s.Get(t.Context(), host+"/a:1"); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		seen[p.Index] = append(seen[p.Index], p)
	}
	for i := range 4 {
		if got := phasesOf(seen[i]); !slices.Equal(got, []image.Phase{image.Waiting, image.Fetching, image.Unpacking, image.Done}) {
			t.Errorf("layer %d: %v", i, got)
		}
	}
}

// Whoever leaves the loop leaves nothing half made, but the beginning of a blob,
// from which the next pull goes on, and says so.
func TestPullingBreaks(t *testing.T) {
	s, reg, host := open(t, image.Options{Client: remote.Options{Retries: -1}})
	blob := single(t, reg, 100_000)
	reg.On(blob.Digest.String(), imagetest.Stall(40_000))
	for p, err := range s.Pulling(t.Context(), host+"/a:1", image.PullOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Phase == image.Fetching {
			break
		}
	}
	checkEmpty(t, s)
	reg.Heal()
	broken(t, s, reg, host+"/a:1", blob, 30_000)
	left := partials(t, s)
	if len(left) != 1 {
		t.Fatalf("left of the pull: %q", left)
	}
	steps := follow(t, s, host+"/a:1")[0]
	at := slices.IndexFunc(steps, func(p image.Progress) bool { return p.Phase == image.Fetching })
	if at < 0 || steps[at].Bytes < 30_000 {
		t.Errorf("it was to begin at 30000 bytes of %s: %+v", filepath.Base(left[0]), steps)
	}
}

func TestPullingFails(t *testing.T) {
	s, reg, host := open(t, image.Options{Client: remote.Options{Retries: -1}})
	single(t, reg, 10_000)
	reg.On("/blobs/", onlyLayers(imagetest.Status(404)))
	var last error
	for _, err := range s.Pulling(t.Context(), host+"/a:1", image.PullOptions{}) {
		if last != nil {
			t.Error("a value after the error")
		}
		last = err
	}
	if !errors.Is(last, remote.ErrNotFound) {
		t.Error(last)
	}
	checkEmpty(t, s)
}

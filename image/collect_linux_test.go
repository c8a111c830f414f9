package image_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/policy"
	"github.com/opencontainers/go-digest"
)

// several is a store of images a1, a2, … used in this order.
func several(t *testing.T, n int) (s *image.Store, names []string, ids []digest.Digest) {
	t.Helper()
	s, reg, host := open(t, image.Options{})
	for i := range n {
		tag := fmt.Sprintf("a%d:1", i+1)
		if _, err := reg.Add(tag, imagetest.Random(uint64(i), 2, 2000)); err != nil {
			t.Fatal(err)
		}
		img, err := s.Pull(t.Context(), host+"/"+tag, image.PullOptions{})
		if err != nil {
			t.Fatal(err)
		}
		names, ids = append(names, host+"/"+tag), append(ids, img.ID)
	}
	return s, names, ids
}

// old lets every image be old enough.
var old = policy.GCOptions{MinAge: time.Nanosecond}

func disk(capacity, available int64) func() (policy.Disk, error) {
	return func() (policy.Disk, error) { return policy.Disk{Capacity: capacity, Available: available}, nil }
}

func TestFreeSpace(t *testing.T) {
	for rule, c := range map[string]struct {
		o      image.SpaceOptions
		gone   []int
		reason string
	}{
		"below the threshold":     {image.SpaceOptions{GCOptions: old, Disk: disk(100, 16)}, nil, ""},
		"the least recently used": {image.SpaceOptions{GCOptions: old, Disk: disk(100, 15)}, []int{0}, ""},
		"too little to remove":    {image.SpaceOptions{GCOptions: old, Disk: disk(1<<40, 0)}, []int{0, 3}, image.ReasonFreeDiskSpace},
		"all too young":           {image.SpaceOptions{Disk: disk(1<<40, 0)}, nil, image.ReasonFreeDiskSpace},
		"not watched for long":    {image.SpaceOptions{GCOptions: old, Disk: disk(100, 15), Since: time.Now().Add(time.Hour)}, nil, image.ReasonFreeDiskSpace},
		"in use as the caller knows": {image.SpaceOptions{GCOptions: old, Disk: disk(100, 15),
			InUse: func(digest.Digest) bool { return true }}, nil, image.ReasonFreeDiskSpace},
		"past their age": {image.SpaceOptions{GCOptions: policy.GCOptions{MaxAge: time.Nanosecond}, Disk: disk(100, 50)}, []int{0, 3}, ""},
		"no disk":        {image.SpaceOptions{GCOptions: old, Disk: disk(0, 0)}, nil, image.ReasonInvalidDiskCapacity},
	} {
		t.Run(rule, func(t *testing.T) {
			s, names, ids := several(t, 4) // 0 and 3 may go, 1 has a snapshot, 2 is pinned
			if _, err := s.Prepare(t.Context(), "k", ids[1]); err != nil {
				t.Fatal(err)
			}
			if err := s.Pin(t.Context(), names[2], true); err != nil {
				t.Fatal(err)
			}
			var size int64
			for _, i := range c.gone {
				img, _ := s.Get(t.Context(), names[i])
				size += img.Size
			}
			freed, err := s.FreeSpace(t.Context(), c.o)
			if reason(err) != c.reason || (err != nil) != (c.reason != "") {
				t.Errorf("%v, want reason %q", err, c.reason)
			}
			if c.reason == image.ReasonFreeDiskSpace && !strings.HasPrefix(err.Error(), "Insufficient free disk space on the node's image filesystem (") {
				t.Error(err)
			}
			if freed.Bytes != size || len(freed.Images) != len(c.gone) {
				t.Errorf("freed %+v, want %d bytes of %v", freed, size, c.gone)
			}
			for i, n := range names {
				_, err := s.Get(t.Context(), n)
				if gone := errors.Is(err, image.ErrNotFound); gone != slices.Contains(c.gone, i) {
					t.Errorf("image %d: %v", i, err)
				}
			}
			if wrong, err := s.Check(t.Context()); err != nil || len(wrong) > 0 {
				t.Errorf("%v %v", wrong, err)
			}
		})
	}
}

func TestFreeSpaceMeasures(t *testing.T) {
	s, _, _ := several(t, 1)
	// The thresholds say that whatever this disk is, it is not too full.
	if freed, err := s.FreeSpace(t.Context(), image.SpaceOptions{GCOptions: policy.GCOptions{HighPercent: 101, LowPercent: 100}}); err != nil || len(freed.Images) > 0 {
		t.Errorf("%+v %v", freed, err)
	}
	broken := errors.New("no disk")
	if _, err := s.FreeSpace(t.Context(), image.SpaceOptions{Disk: func() (policy.Disk, error) { return policy.Disk{}, broken }}); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestPrune(t *testing.T) {
	s, names, ids := several(t, 3)
	if _, err := s.Prepare(t.Context(), "k", ids[1]); err != nil {
		t.Fatal(err)
	}
	if freed, err := s.Prune(t.Context(), image.SpaceOptions{}); err != nil || len(freed.Images) > 0 {
		t.Errorf("too young to go: %+v %v", freed, err)
	}
	freed, err := s.Prune(t.Context(), image.SpaceOptions{GCOptions: old})
	if err != nil || !slices.Equal(freed.Images, []digest.Digest{ids[0], ids[2]}) {
		t.Errorf("%+v %v", freed, err)
	}
	if _, err := s.Get(t.Context(), names[1]); err != nil {
		t.Error(err)
	}
}

// An image that comes in use between the decision and the deed stays.
func TestFreeSpaceDecidesAgain(t *testing.T) {
	s, names, ids := several(t, 2)
	asked := 0
	freed, err := s.FreeSpace(t.Context(), image.SpaceOptions{GCOptions: old, Disk: func() (policy.Disk, error) {
		if asked++; asked == 1 {
			if _, err := s.Prepare(t.Context(), "k", ids[0]); err != nil {
				t.Error(err)
			}
		}
		return policy.Disk{Capacity: 100, Available: 15}, nil
	}})
	if err != nil || asked != 2 || !slices.Equal(freed.Images, []digest.Digest{ids[1]}) {
		t.Errorf("asked %d times: %+v %v", asked, freed, err)
	}
	if _, err := s.Get(t.Context(), names[0]); err != nil {
		t.Error(err)
	}
}

// Pulls and collections side by side: no pull fails, what was pulled is whole or
// gone, and the store stays in order.
func TestPullRacesFreeSpace(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	base := imagetest.Random(1, 2, 1000)
	for i := range 3 { // they share layers
		img := base
		img.Layers = append(slices.Clone(base.Layers), imagetest.Program("/p", []byte{byte(i)}))
		if _, err := reg.Add(fmt.Sprintf("a%d:1", i), img); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var collector, pullers sync.WaitGroup
	collector.Go(func() {
		for ctx.Err() == nil {
			_, err := s.FreeSpace(t.Context(), image.SpaceOptions{GCOptions: old, Disk: disk(1<<40, 0)})
			if reason(err) != image.ReasonFreeDiskSpace {
				t.Errorf("free space: %v", err)
			}
		}
	})
	for i := range 3 {
		pullers.Go(func() {
			for n := range 25 {
				img, err := s.Pull(t.Context(), fmt.Sprintf("%s/a%d:1", host, i), image.PullOptions{})
				if err != nil {
					if !errors.Is(err, image.ErrNotFound) { // it was pulled, and went at once
						t.Errorf("pull: %v", err)
					}
					continue
				}
				key := fmt.Sprintf("k%d-%d", i, n)
				if _, err := s.Prepare(t.Context(), key, img.ID); err != nil && !errors.Is(err, image.ErrNotFound) {
					t.Errorf("prepare: %v", err)
				}
				if err := s.RemoveSnapshot(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	pullers.Wait()
	stop()
	collector.Wait()
	if wrong, err := s.Check(t.Context()); err != nil || len(wrong) > 0 {
		t.Errorf("%v %v", wrong, err)
	}
}

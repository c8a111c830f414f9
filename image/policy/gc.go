package policy

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Candidate is an image as the collection of unused images sees it.
type Candidate struct {
	ID   string
	Size int64
	// FirstSeen is when it came, LastUsed when a container last had it.
	FirstSeen, LastUsed time.Time
	InUse, Pinned       bool
}

// GCOptions bounds the disk that images use. The zero value means Kubernetes'
// defaults: from 85 % of the filesystem down to 80 %, images older than 2 min.
type GCOptions struct {
	HighPercent, LowPercent int
	MinAge                  time.Duration
	// MaxAge, if not zero, lets an image go that was not used for so long,
	// whatever the disk says, once the program runs longer than that.
	MaxAge time.Duration
}

func (o GCOptions) defaults() GCOptions {
	if o.HighPercent == 0 {
		o.HighPercent, o.LowPercent = 85, 80
	}
	if o.MinAge == 0 {
		o.MinAge = 2 * time.Minute
	}
	return o
}

// Disk is the filesystem that images lie on, in bytes.
type Disk struct{ Capacity, Available int64 }

// GC is what to delete, in this order.
type GC struct {
	Delete []string
	// Freed is the sum of the sizes deleted for space, Wanted what should have
	// been freed. Message says that it was not enough; it is empty otherwise.
	Freed, Wanted int64
	Message       string
}

// Reasons of a collection that did not do what it should, as in Kubernetes.
const (
	ReasonFreeDiskSpace       = "FreeDiskSpaceFailed"
	ReasonInvalidDiskCapacity = "InvalidDiskCapacity"
)

// spaceError is an error in Kubernetes' words.
type spaceError struct{ reason, text string }

func (e *spaceError) Error() string  { return e.text }
func (e *spaceError) Reason() string { return e.reason }

// Check returns an error with [ReasonInvalidDiskCapacity] of a disk that has none.
func (d Disk) Check() error {
	if d.Capacity <= 0 {
		return &spaceError{ReasonInvalidDiskCapacity, "invalid capacity 0 on image filesystem"}
	}
	return nil
}

// Err says what kept the decision from freeing what it wanted: removal, the error
// of deleting images after freed bytes, or that there was too little to delete, with
// [ReasonFreeDiskSpace]. Nil if nothing did.
func (g GC) Err(freed int64, removal error) error {
	switch {
	case removal != nil:
		return fmt.Errorf("wanted to free %d bytes, but freed %d bytes space with errors in image deletion: %w", g.Wanted, freed, removal)
	case g.Message != "":
		return &spaceError{ReasonFreeDiskSpace, g.Message}
	}
	return nil
}

// Collect decides which images go: those past MaxAge, then, if the disk is
// fuller than HighPercent, the least recently used until LowPercent is reached.
// Images in use or pinned stay. started is when the program began to watch.
func Collect(now, started time.Time, o GCOptions, d Disk, images []Candidate) GC {
	o = o.defaults()
	unused := evictionOrder(images)
	var g GC
	if o.MaxAge > 0 && now.Sub(started) > o.MaxAge {
		old := func(c Candidate) bool { return now.Sub(c.LastUsed) > o.MaxAge }
		for _, c := range unused {
			if old(c) {
				g.Delete = append(g.Delete, c.ID)
				d.Available += c.Size
			}
		}
		unused = slices.DeleteFunc(unused, old)
	}
	d.Available = min(d.Available, d.Capacity)
	if d.Capacity <= 0 {
		return g
	}
	used := 100 - int(d.Available*100/d.Capacity)
	if used < o.HighPercent {
		return g
	}
	g.Wanted = d.Capacity*int64(100-o.LowPercent)/100 - d.Available
	g.free(now, o, unused)
	if g.Freed < g.Wanted {
		g.Message = fmt.Sprintf("Insufficient free disk space on the node's image filesystem (%d%% of %s used). "+
			"Failed to free sufficient space by deleting unused images (freed %d bytes). "+
			"Investigate disk usage, as it could be used by active images, logs, volumes, or other data.",
			used, formatSize(d.Capacity), g.Freed)
	}
	return g
}

// Unused lists every image that may go now, least recently used first: what a
// node under disk pressure deletes before it ends pods.
func Unused(now time.Time, o GCOptions, images []Candidate) GC {
	g := GC{Wanted: math.MaxInt64}
	g.free(now, o.defaults(), evictionOrder(images))
	return g
}

func (g *GC) free(now time.Time, o GCOptions, unused []Candidate) {
	for _, c := range unused {
		if !c.LastUsed.Before(now) || now.Sub(c.FirstSeen) < o.MinAge {
			continue
		}
		g.Delete = append(g.Delete, c.ID)
		if g.Freed += c.Size; g.Freed >= g.Wanted {
			return
		}
	}
}

func evictionOrder(images []Candidate) []Candidate {
	unused := slices.DeleteFunc(slices.Clone(images), func(c Candidate) bool { return c.InUse || c.Pinned })
	slices.SortStableFunc(unused, func(a, b Candidate) int {
		if c := a.LastUsed.Compare(b.LastUsed); c != 0 {
			return c
		}
		return a.FirstSeen.Compare(b.FirstSeen)
	})
	return unused
}

func formatSize(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n)/(1<<10), 0
	for ; size >= 1<<10 && unit < 3; unit++ {
		size /= 1 << 10
	}
	return fmt.Sprintf("%.1f %s", size, [...]string{"KiB", "MiB", "GiB", "TiB"}[unit])
}

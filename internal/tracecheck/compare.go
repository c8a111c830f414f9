package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// verdict is what a comparison found.
type verdict struct {
	// kinds are the allowed differences that occurred; see kinds.go.
	kinds map[string]bool
	// diffs are those that are not allowed, the first ones first.
	diffs []string
}

func (v *verdict) allow(kind string) { v.kinds[kind] = true }

func (v *verdict) differ(format string, args ...any) {
	v.diffs = append(v.diffs, fmt.Sprintf(format, args...))
}

func (v *verdict) String() string {
	switch {
	case len(v.diffs) > 0:
		return "differs"
	case len(v.kinds) > 0:
		return "equal but for " + strings.Join(slices.Sorted(maps.Keys(v.kinds)), ", ")
	}
	return "equal"
}

// comparison holds a recording against ours. Time in ms.
type comparison struct {
	*verdict
	in  *record
	ext *normal // the recording's
	our *normal // lifepod's
	// cut is when ours is ahead of the recording: what comes from then on was not
	// recorded.
	cut int64
	// behind is how much later than ours the recording's last common call is.
	behind int64
}

// forever is a cut that never comes.
const forever = int64(1) << 60

func compare(in *record, ext, our *normal) *verdict {
	c := &comparison{verdict: &verdict{kinds: map[string]bool{}}, in: in, ext: ext, our: our, cut: forever}
	ext, our = c.withoutProbes()
	c.calls(ext.calls, our.calls)
	c.removals()
	c.gone()
	c.events(ext.events, our.events)
	c.statuses(ext.statuses, our.statuses)
	return c.verdict
}

// within is how far apart in ms two gaps may be: the kubelet sees an exit up to a
// second later, and is up to half a second slower at the start.
const within = 1500

func abs(n int64) int64 { return max(n, -n) }

// removals: what the kubelet removed we removed too; what we removed besides was
// of a pod that was deleted, or replaced by a later instance.
func (c *comparison) removals() {
	for what := range c.ext.Removed {
		if strings.HasPrefix(what, "RemoveContainer") && !c.our.Removed[what] && !c.superfluous(what) {
			c.differ("calls: %s was not done", what)
		}
	}
	for what := range c.our.Removed {
		if strings.HasPrefix(what, "RemoveContainer") && !c.ext.Removed[what] && c.in.Deleted == nil && !c.replaced(what) {
			c.differ("calls: %s was done", what)
		}
	}
}

// superfluous says that the container is one that ours never made, and needed
// not.
func (c *comparison) superfluous(what string) bool {
	name := strings.TrimPrefix(what, "RemoveContainer ")
	return c.kinds[cancelInFlight] && !slices.ContainsFunc(c.our.calls, func(m moment) bool {
		return strings.HasPrefix(m.text, "CreateContainer "+name+" ")
	})
}

// replaced says that ours started a later instance of the container.
func (c *comparison) replaced(what string) bool {
	name, n, _ := strings.Cut(strings.TrimPrefix(what, "RemoveContainer "), "#")
	return slices.ContainsFunc(c.our.calls, func(m moment) bool {
		later, ok := strings.CutPrefix(m.text, "CreateContainer "+name+"#")
		attempt, _, _ := strings.Cut(later, " ")
		return ok && attempt > n
	})
}

// gone compares when the pod was no more.
func (c *comparison) gone() {
	if c.ext.Gone == "" || c.in.static() {
		return
	}
	if c.our.Gone == "" {
		c.differ("gone: %s, ours never", c.ext.Gone)
		return
	}
	var ext, our float64
	fmt.Sscanf(c.ext.Gone, "%gs", &ext)
	fmt.Sscanf(c.our.Gone, "%gs", &our)
	if abs(int64(1000*(ext-our))) > within && !c.kinds[cancelInFlight] && !c.kinds[shortenedGrace] && !c.kinds[forcedDeletion] {
		c.differ("gone: %s, ours %s", c.ext.Gone, c.our.Gone)
	}
}

// events are compared in their order; those of probes, which come in their own
// time, as a set.
func (c *comparison) events(ext, our []moment) {
	if len(ext) == 0 && c.in.static() {
		return // a kubelet without an API server has nobody to tell
	}
	extProbes, ext := aside(ext)
	ourProbes, our := aside(our)
	c.probeEvents(extProbes, ourProbes)
	i := 0
	for _, e := range ext {
		switch {
		case i < len(our) && our[i].text == e.text:
			i++
		case c.eventNotOurs(e):
		case i < len(our):
			c.differ("events: %s, ours %s", quote(e.text), quote(our[i].text))
			return
		default:
			c.differ("events: %s, ours nothing more", quote(e.text))
			return
		}
	}
	for _, o := range our[i:] {
		if o.t < c.cut && !c.eventOnlyOurs(o) {
			c.differ("events: ours has %s", quote(o.text))
			return
		}
	}
}

// aside parts the events of probes from the others.
func aside(list []moment) (probes []string, rest []moment) {
	for _, m := range list {
		if strings.HasPrefix(m.text, "Warning Unhealthy") || strings.HasPrefix(m.text, "Warning ProbeWarning") {
			probes = append(probes, m.text)
		} else {
			rest = append(rest, m)
		}
	}
	return probes, rest
}

func quote(s string) string {
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return "[" + s + "]"
}

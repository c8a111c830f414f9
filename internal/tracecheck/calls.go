package main

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// calls walks both lists side by side.
func (c *comparison) calls(ext, our []moment) {
	w := walk{comparison: c, ext: ext, our: our}
	for w.i < len(ext) {
		switch {
		case c.rechecksImage(ext, w.i):
			c.allow(pullRecheck)
			w.i, w.moved = w.i+1, true
		case w.j < len(our) && c.same(ext[w.i], our[w.j]):
			w.gap()
			w.lastE, w.lastO = ext[w.i].t, our[w.j].t
			w.i, w.j = w.i+1, w.j+1
		case c.notOurs(ext, w.i):
			w.i, w.moved = w.i+1, true
		case w.j < len(our) && c.onlyOurs(our, w.j):
			w.j, w.moved = w.j+1, true
		default:
			theirs := "nothing more"
			if w.j < len(our) {
				theirs = fmt.Sprintf("[%.1fs %s]", float64(our[w.j].t)/1000, our[w.j].text)
			}
			c.differ("calls: [%.1fs %s], ours %s", float64(ext[w.i].t)/1000, ext[w.i].text, theirs)
			return
		}
	}
	w.tail()
}

// walk is a place in both lists.
type walk struct {
	*comparison
	ext, our     []moment
	i, j         int
	lastE, lastO int64
	// moved says that one list has a call between here and the last common one.
	moved bool
}

// gap compares how long it took to get here from the last common call.
func (w *walk) gap() {
	e, o := w.ext[w.i].t-w.lastE, w.our[w.j].t-w.lastO
	moved := w.moved
	w.moved = false
	switch {
	case abs(e-o) <= within:
	case is(w.ext[w.i], "StopPodSandbox") && e > o && e-o <= within+1000:
		// Exits are listed once a second, and the sandbox goes a sync later.
		w.allow(exitsAtOnce)
	case retries(w.ext[w.i]) && o >= 8500 && o <= e+within && e <= o*3/2+within:
		w.allow(noJitter)
	case moved && e >= o && (w.kinds[cancelInFlight] || w.kinds[shortenedGrace] || w.kinds[forcedDeletion] || w.kinds[pullRecheck] && retries(w.ext[w.i]) && e <= o*3/2+within):
	case e >= o && w.kinds[cancelInFlight] && w.in.Deleted != nil && w.ext[w.i].t > *w.in.Deleted:
	case w.probePeriod() > 0 && abs(e-o) <= within+w.probePeriod():
		w.allow(probeStart)
	case w.kinds[noJitter] && abs(w.ext[w.i].t-w.our[w.j].t) <= within:
		// A backoff moved what came in between.
	case w.kinds[noJitter] && is(w.ext[w.i], "StopPodSandbox") && abs(w.ext[w.i].t-w.our[w.j].t) <= within+1000:
		w.allow(exitsAtOnce)
	default:
		w.differ("calls: %s begins %.1f s after the one before, ours %.1f s", quote(w.ext[w.i].text), float64(e)/1000, float64(o)/1000)
	}
}

// probePeriod is the longest period of the pod's probes, in ms.
func (c *comparison) probePeriod() int64 {
	var longest int64
	for _, p := range c.in.probes() {
		longest = max(longest, int64(max(p.PeriodSeconds, 1))*1000)
	}
	return longest
}

// tail is what ours does after all that was recorded. The record of a pod that
// was deleted is whole; else it ends with the last thing in it.
func (w *walk) tail() {
	w.behind = max(w.lastE-w.lastO, 0)
	if w.j >= len(w.our) {
		return
	}
	m, end := w.our[w.j], w.in.end()
	switch {
	case w.in.forced():
		w.allow(forcedDeletion)
	case w.in.Gone != nil:
		w.differ("calls: ours has [%.1fs %s]", float64(m.t)/1000, m.text)
	case m.t+w.behind > end:
		w.cut = m.t
	case retries(m) && m.t-w.lastO >= 8500 && w.lastE+(m.t-w.lastO)*3/2+within >= end:
		// The kubelet's backoff went on beyond the end of the recording.
		w.allow(noJitter)
		w.cut = m.t
	default:
		w.differ("calls: ours has [%.1fs %s]", float64(m.t)/1000, m.text)
	}
}

// withoutProbes takes the probes' calls out of both lists and compares them by
// themselves: theirs come on a grid that began before the container, ours count
// from its start.
func (c *comparison) withoutProbes() (ext, our *normal) {
	probes := c.in.probeCommands()
	split := func(n *normal) (*normal, map[string][]moment) {
		rest, streams := *n, map[string][]moment{}
		rest.calls = nil
		for _, m := range n.calls {
			key := probeKey(m.text)
			if name, _, ok := strings.Cut(key, "#"); ok && is(m, "ExecSync") && probes[name+" "+command(m.text)] != nil {
				streams[key] = append(streams[key], m)
				continue
			}
			rest.calls = append(rest.calls, m)
		}
		return &rest, streams
	}
	ext, extStreams := split(c.ext)
	our, ourStreams := split(c.our)
	keys := map[string]bool{}
	for k := range extStreams {
		keys[k] = true
	}
	for k := range ourStreams {
		keys[k] = true
	}
	for key := range keys {
		name, _, _ := strings.Cut(key, "#")
		_, cmd, _ := strings.Cut(key, " ")
		c.probeStream(key, probes[name+" "+cmd], extStreams[key], ourStreams[key])
	}
	return ext, our
}

// probeKey names the instance and the command of an exec.
func probeKey(text string) string { return who(text) + " " + command(text) }

func command(text string) string {
	_, rest, _ := strings.Cut(text, " cmd=")
	for _, end := range []string{" exit=", " killed=", " timeout="} {
		rest, _, _ = strings.Cut(rest, end)
	}
	return rest
}

// probeStream: the answers are the same ones, one by one. There may be more or
// fewer of them by one, by the time that one side began earlier, and by the
// readiness probes that the kubelet adds when the pod's status changes. Ours are
// on the grid that begins with the first one.
func (c *comparison) probeStream(key string, p *corev1.Probe, ext, our []moment) {
	period := int64(max(p.PeriodSeconds, 1)) * 1000
	end := c.in.end()
	our = slices.DeleteFunc(our, func(m moment) bool { return m.t > end })
	changes := int64(0)
	for i := range min(len(ext), len(our)) {
		if ext[i].text != our[i].text && !strings.Contains(our[i].text, cancelled) {
			c.differ("probes: %s: answer %d is %s, ours %s", key, i, quote(ext[i].text), quote(our[i].text))
			return
		}
		if i > 0 && ext[i].text != ext[i-1].text {
			changes++
		}
	}
	for _, m := range our {
		if off := (m.t - our[0].t) % period; off > together && off < period-together {
			c.differ("probes: %s: ours is at %.2f s, not on the grid of %d s from %.2f s", key, float64(m.t)/1000, period/1000, float64(our[0].t)/1000)
			return
		}
	}
	more := 1 + changes
	if len(ext) > 0 && len(our) > 0 {
		more += (abs(ext[0].t-our[0].t) + period - 1) / period
	}
	if len(ext) != len(our) {
		c.allow(probeStart)
	}
	instance, _, _ := strings.Cut(key, " ")
	if abs(int64(len(ext)-len(our))) > more || len(our) == 0 && !c.started(instance) {
		c.differ("probes: %s: %d probes, ours %d", key, len(ext), len(our))
	}
}

// started says that ours started the instance.
func (c *comparison) started(instance string) bool {
	return slices.ContainsFunc(c.our.calls, func(m moment) bool { return is(m, "StartContainer") && who(m.text) == instance })
}

// probeEvents compares which failures were told.
func (c *comparison) probeEvents(ext, our []string) {
	slices.Sort(ext)
	slices.Sort(our)
	if !slices.Equal(ext, our) {
		c.differ("events: of probes %s, ours %s", quote(strings.Join(ext, ", ")), quote(strings.Join(our, ", ")))
	}
}

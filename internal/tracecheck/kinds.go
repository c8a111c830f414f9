package main

import (
	"regexp"
	"strings"
)

// The kinds of differences that are allowed. Each has a row with its reason in
// DIFFERENCES.md, which a test holds against this list.
const (
	cancelInFlight  = "cancel-in-flight"
	shortenedGrace  = "shortened-grace"
	forcedDeletion  = "forced-deletion"
	backoffShown    = "backoff-shown"
	pullRecheck     = "pull-recheck"
	noJitter        = "no-jitter"
	probeStart      = "probe-start"
	terminalCodes   = "terminal-exit-codes"
	stopSandboxOnce = "stop-sandbox-once"
	exitsAtOnce     = "exits-at-once"
)

// allKinds is the list of them.
var allKinds = []string{cancelInFlight, shortenedGrace, forcedDeletion, backoffShown, pullRecheck, noJitter, probeStart, terminalCodes, stopSandboxOnce, exitsAtOnce}

// who is the container instance or sandbox that a call is about.
func who(text string) string {
	words := strings.Fields(text)
	if len(words) < 2 || !strings.Contains(words[1], "#") {
		return ""
	}
	return words[1]
}

func is(m moment, rpc string) bool {
	return strings.HasPrefix(m.text, rpc+" ") || strings.HasPrefix(m.text, rpc+"#")
}

const cancelled = " cancelled=true"

// same compares two calls. One of ours that was cancelled is the same as the one
// that the kubelet waited for.
func (c *comparison) same(e, o moment) bool {
	if e.text == o.text {
		return true
	}
	if c.in.forced() && is(e, "StopContainer") && is(o, "StopContainer") && who(e.text) == who(o.text) {
		c.allow(forcedDeletion)
		return true
	}
	if !strings.Contains(o.text, cancelled) || bare(e.text) != bare(o.text) {
		return false
	}
	if is(o, "StopContainer") {
		if len(deletions(c.in)) < 2 {
			return false
		}
		c.allow(shortenedGrace)
		return true
	}
	// A hook or a pull that nobody waits for any more.
	if c.in.Deleted == nil && !strings.Contains(e.text, "killed=true") {
		return false
	}
	c.allow(cancelInFlight)
	return true
}

var outcomes = regexp.MustCompile(` (cancelled=true|killed=true|exit=\d+|took=\S+|err=.*)`)

// bare is a call without how it ended.
func bare(text string) string {
	text, _, _ = strings.Cut(text, " err=")
	return outcomes.ReplaceAllString(text, "")
}

// notOurs says that the kubelet does a call that ours leaves out, for a reason
// that has a name. ext[i] is the call.
func (c *comparison) notOurs(ext []moment, i int) bool {
	m := ext[i]
	switch {
	case is(m, "StopPodSandbox") && i > 0 && ext[i-1].text == m.text:
		c.allow(stopSandboxOnce)
		return true
	case c.in.Deleted == nil || m.t < *c.in.Deleted:
		return false
	case c.in.forced() && is(m, "ExecSync"):
		c.allow(forcedDeletion)
		return true
	case is(m, "ImageStatus"), is(m, "PullImage"), is(m, "CreateContainer"), is(m, "StartContainer"),
		is(m, "StopContainer") && c.startedLate(ext[:i], who(m.text)),
		is(m, "ExecSync") && c.startedLate(ext[:i], who(m.text)):
		c.allow(cancelInFlight)
		return true
	}
	return false
}

// startedLate says that the instance was started after the deletion.
func (c *comparison) startedLate(before []moment, instance string) bool {
	for _, m := range before {
		if m.t >= *c.in.Deleted && is(m, "StartContainer") && who(m.text) == instance {
			return true
		}
	}
	return false
}

// rechecksImage says that the call looks for an image whose pull failed, and does
// not pull it: a sync during the backoff.
func (c *comparison) rechecksImage(ext []moment, i int) bool {
	if !is(ext[i], "ImageStatus") {
		return false
	}
	name := strings.TrimPrefix(ext[i].text, "ImageStatus ")
	failed := false
	for k := i - 1; k >= 0 && !failed; k-- {
		if strings.HasPrefix(ext[k].text, "PullImage "+name+" ") {
			if failed = strings.Contains(ext[k].text, " err="); !failed {
				return false
			}
		}
	}
	next := moment{}
	if i+1 < len(ext) {
		next = ext[i+1]
	}
	return failed && !is(next, "PullImage") && !is(next, "CreateContainer") && (!is(next, "ImageStatus") || next.text == ext[i].text && next.t-ext[i].t > together)
}

// onlyOurs says that ours does a call that the kubelet leaves out.
func (c *comparison) onlyOurs(our []moment, j int) bool {
	m := our[j]
	if c.in.Deleted == nil || m.t < *c.in.Deleted {
		return false
	}
	if c.in.forced() {
		c.allow(forcedDeletion)
		return is(m, "StopPodSandbox")
	}
	// The stop that goes on with what the second deletion left of the grace.
	again := j > 0 && is(m, "StopContainer") && is(our[j-1], "StopContainer") && who(m.text) == who(our[j-1].text) &&
		strings.Contains(our[j-1].text, cancelled)
	return again && c.kinds[shortenedGrace]
}

// retries are the calls that a backoff ends with.
func retries(m moment) bool {
	return is(m, "ImageStatus") || is(m, "RunPodSandbox") || is(m, "PullImage")
}

// eventNotOurs is notOurs for events: those of an instance that was started after
// the deletion, and stopped again.
func (c *comparison) eventNotOurs(e moment) bool {
	if !c.kinds[cancelInFlight] || c.in.Deleted == nil || e.t < *c.in.Deleted {
		return false
	}
	for _, reason := range []string{" Pulled ", " Pulling ", " Created ", " Started ", " Killing "} {
		if strings.Contains(e.text, reason) {
			return true
		}
	}
	return false
}

// eventOnlyOurs allows the news of a backoff that the kubelet would have told
// later.
func (c *comparison) eventOnlyOurs(e moment) bool {
	if e.t+c.behind+within+1000 < c.in.end() {
		return false
	}
	if strings.Contains(e.text, " BackOff ") || strings.HasSuffix(e.text, "Error: ImagePullBackOff") {
		c.allow(backoffShown)
		return true
	}
	return false
}

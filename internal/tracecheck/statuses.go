package main

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// statuses: the last one is the kubelet's last one, and each of ours is one of
// the kubelet's, in order. One that the kubelet merged with its neighbours shows
// in each part what the kubelet showed about then.
func (c *comparison) statuses(ext, our []moment) {
	ext, our = c.visible(ext), distinct(c.visible(our))
	if len(ext) == 0 || len(our) == 0 {
		if len(ext) != len(our) {
			c.differ("statuses: %d, ours %d", len(ext), len(our))
		}
		return
	}
	if !c.sameStatus(ext[len(ext)-1].text, our[len(our)-1].text) && !c.lateEnd(ext, our) {
		c.differ("statuses: the last is\n      %s\n      ours\n      %s", ext[len(ext)-1].text, our[len(our)-1].text)
	}
	from, pending := 0, []moment(nil)
	for i, o := range our {
		if i == 0 && c.beginning(ext[0].text, o.text) {
			continue
		}
		k := c.find(ext, from, o.text)
		if k < 0 {
			pending = append(pending, o)
			continue
		}
		c.between(ext[from:k+1], pending)
		from, pending = k, nil
	}
	c.between(ext[from:], pending)
}

// beginning says that ours is the status of a pod that has nothing yet; the
// kubelet's first one often comes when there is a sandbox already.
func (c *comparison) beginning(ext, our string) bool {
	was := strings.NewReplacer("=False/PodSandboxNotReady/no pod sandbox exists", "=True", "podIP=false", "podIP=true")
	return was.Replace(our) == was.Replace(ext)
}

// visible leaves out what could not be published or was not recorded.
func (c *comparison) visible(list []moment) []moment {
	var out []moment
	for _, m := range list {
		if m.t < c.cut && m.t < c.in.published() {
			out = append(out, m)
		}
	}
	return out
}

func distinct(list []moment) []moment {
	var out []moment
	for _, m := range list {
		if len(out) == 0 || out[len(out)-1].text != m.text {
			out = append(out, m)
		}
	}
	return out
}

func (c *comparison) find(ext []moment, from int, text string) int {
	for k := from; k < len(ext); k++ {
		if ext[k].text == text {
			return k
		}
	}
	return -1
}

// between holds statuses that the kubelet did not publish as they are against
// those around them.
func (c *comparison) between(ext, pending []moment) {
	for _, p := range pending {
		for _, part := range strings.Split(p.text, separator) {
			if !c.shown(ext, part) && !derived(part, p.text) && !onTheWay(ext, part) && !c.failedAgain(part) {
				c.differ("statuses: ours shows [%s] at %.1f s; the kubelet about then does not:\n      %s", part, float64(p.t)/1000, p.text)
				return
			}
		}
	}
}

// onTheWay says that a container's part is a step on its way that the kubelet did not
// publish: it ran, or it ended, between two statuses.
func onTheWay(ext []moment, part string) bool {
	o := parse(part)
	if o == nil || !strings.HasPrefix(o[2], "running") && !strings.HasPrefix(o[2], "terminated/") {
		return false
	}
	least, most := "", ""
	for _, e := range ext {
		for _, theirs := range strings.Split(e.text, separator) {
			if p := parse(theirs); p != nil && p[1] == o[1] {
				if least == "" {
					least = p[5]
				}
				most = p[5]
			}
		}
	}
	return least <= o[5] && o[5] <= most
}

// failedAgain says that the kubelet showed this failure before: ours shows the
// next one as soon as it happens, too.
func (c *comparison) failedAgain(part string) bool {
	o := parse(part)
	if o == nil || !strings.HasPrefix(o[partState], "waiting/") || !slices.ContainsFunc(c.ext.statuses, func(m moment) bool {
		return slices.Contains(strings.Split(m.text, separator), part)
	}) {
		return false
	}
	c.allow(backoffShown)
	return true
}

// derived says that a condition is what the containers of the same status amount
// to.
func derived(part, status string) bool {
	var unready, incomplete []string
	for _, p := range strings.Split(status, separator) {
		c := parse(p)
		if c == nil || c[3] == "true" {
			continue
		}
		role, name, _ := strings.Cut(c[1], ":")
		unready = append(unready, name)
		if role == "init" {
			incomplete = append(incomplete, name)
		}
	}
	kind, rest, _ := strings.Cut(part, "=")
	var of []string
	switch kind {
	case "ContainersReady", "Ready":
		of = unready
	case "Initialized":
		of = incomplete
	default:
		return false
	}
	if rest == "True" {
		return len(of) == 0
	}
	_, list, ok := strings.Cut(rest, " status: [")
	if !ok {
		return false
	}
	for name := range strings.FieldsSeq(strings.TrimSuffix(list, "]")) {
		if !slices.Contains(of, name) {
			return false
		}
	}
	return true
}

func (c *comparison) shown(ext []moment, part string) bool {
	for _, e := range ext {
		for _, theirs := range strings.Split(e.text, separator) {
			if part == theirs {
				return true
			}
		}
	}
	for _, e := range ext {
		for _, theirs := range strings.Split(e.text, separator) {
			if c.samePart(theirs, part) {
				return true
			}
		}
	}
	return false
}

// sameStatus compares two statuses part by part.
func (c *comparison) sameStatus(ext, our string) bool {
	e, o := strings.Split(ext, separator), strings.Split(our, separator)
	if len(e) != len(o) {
		return false
	}
	for i := range e {
		if e[i] != o[i] && !c.samePart(e[i], o[i]) {
			return false
		}
	}
	return true
}

// lateEnd is for a recording that ends while ours is already one step ahead.
func (c *comparison) lateEnd(ext, our []moment) bool {
	return c.cut != forever && len(our) > 1 && c.sameStatus(ext[len(ext)-1].text, our[len(our)-2].text)
}

var containerPart = regexp.MustCompile(`^((?:init|app|ephemeral):[^=]+)=(.*) ready=(\S+) started=(\S+) restarts=(\d+)(?: last=(.*))?$`)

// Groups of containerPart.
const (
	partState    = 2
	partReady    = 3
	partStarted  = 4
	partRestarts = 5
	partLast     = 6
)

// parse takes a container's part of a status apart; nil for another part.
func parse(part string) []string {
	return containerPart.FindStringSubmatch(strings.ReplaceAll(part, "\n", "␤"))
}

// samePart allows a container to be shown differently, for reasons that have a
// name.
func (c *comparison) samePart(ext, our string) bool {
	if c.unborn() && notReady(ext) && notReady(our) && strings.SplitN(ext, "=", 2)[0] == strings.SplitN(our, "=", 2)[0] {
		return true
	}
	e, o := parse(ext), parse(our)
	if e == nil || o == nil || e[1] != o[1] || e[partReady] != o[partReady] || e[partStarted] != o[partStarted] {
		return false
	}
	switch {
	case strings.HasPrefix(o[partState], "waiting/CrashLoopBackOff/") && e[partState] == o[partLast] && e[partRestarts] == o[partRestarts]:
		// The kubelet still shows how it ended.
		c.allow(backoffShown)
		return true
	case strings.HasPrefix(o[partState], "waiting/ImagePullBackOff/") && o[partState] != e[partState] && strings.HasSuffix(o[partState], message(e[partState])):
		c.allow(backoffShown)
		return true
	case strings.HasPrefix(e[partState], "terminated/137/ContainerStatusUnknown") && o[partState] == e[partLast]:
		c.allow(terminalCodes)
		return true
	case c.unborn() && strings.HasPrefix(e[partState], "terminated/") && strings.HasPrefix(o[partState], "terminated/137/ContainerStatusUnknown/"):
		return true
	case c.kinds[cancelInFlight] && c.in.Deleted != nil && e[partState] == o[partState] && oneMore(e[partRestarts], o[partRestarts]):
		// One more instance was made only to be stopped.
		return true
	}
	return false
}

// unborn says that the kubelet started a first instance after the deletion, and
// ours never did: its status has no end of one, and neither do its conditions.
func (c *comparison) unborn() bool {
	return c.kinds[cancelInFlight] && c.in.Deleted != nil && slices.ContainsFunc(c.ext.calls, func(m moment) bool {
		return is(m, "StartContainer") && m.t >= *c.in.Deleted && strings.HasSuffix(who(m.text), "#0")
	})
}

func notReady(part string) bool {
	return strings.HasPrefix(part, "Ready=False") || strings.HasPrefix(part, "ContainersReady=False")
}

func oneMore(e, o string) bool {
	x, err1 := strconv.Atoi(e)
	y, err2 := strconv.Atoi(o)
	return err1 == nil && err2 == nil && x == y+1
}

// message is the text of a waiting state, behind its reason.
func message(state string) string {
	parts := strings.SplitN(state, "/", 3)
	if len(parts) < 3 || parts[0] != "waiting" {
		return "no message"
	}
	return parts[2]
}

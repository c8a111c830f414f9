package main

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// normal is a scenario without what differs from run to run: times become gaps
// of half seconds, ids go, what begins together is sorted, removals are a set.
type normal struct {
	Name     string          `json:"name"`
	Source   string          `json:"source"`
	Calls    []step          `json:"calls"`
	Statuses []step          `json:"statuses"`
	Events   []step          `json:"events"`
	Removed  map[string]bool `json:"removed"`
	Gone     string          `json:"gone,omitempty"`

	calls, statuses, events []moment
}

// step is one or, by N, several equal things in a row.
type step struct {
	// Gap is seconds since the step before began.
	Gap  float64 `json:"gap"`
	What string  `json:"what"`
	N    int     `json:"n,omitempty"`
}

// deletion stands among the calls for the request to delete the pod.
const deletion = "(deletion)"

// together is how close calls must begin to be taken as begun at once, in ms.
const together = 50

func normalise(r *record) *normal {
	n := &normal{Name: r.Name, Source: r.Source, Removed: map[string]bool{}}
	text := texts(r)
	var calls, statuses, events []moment
	for _, c := range r.Calls {
		if strings.HasPrefix(c.RPC, "Remove") {
			n.Removed[callName(c)] = true
			continue
		}
		calls = append(calls, moment{c.T, callKind(c.RPC), text(callText(c))})
	}
	if r.Deleted != nil {
		i, _ := slices.BinarySearchFunc(calls, *r.Deleted, func(m moment, t int64) int { return int(m.t - t) })
		calls = slices.Insert(calls, i, moment{*r.Deleted, deletion, deletion})
	}
	for _, s := range r.Statuses {
		statuses = append(statuses, moment{s.T, "", text(statusText(&s.Status))})
	}
	for _, e := range r.Events {
		events = append(events, moment{e.T, e.Reason, text(strings.Join([]string{e.Type, e.Reason, e.Object, e.Message}, " "))})
	}
	order(calls)
	order(events)
	n.calls, n.statuses, n.events = calls, statuses, events
	n.Calls, n.Statuses, n.Events = steps(calls), steps(statuses), steps(events)
	if r.Gone != nil && r.Deleted != nil {
		n.Gone = fmt.Sprintf("%gs after the deletion", halves(*r.Gone-*r.Deleted))
	}
	return n
}

// moment is one thing at its time, in ms.
type moment struct {
	t    int64
	kind string
	text string
}

// order sorts what began together.
func order(list []moment) {
	for i := 0; i < len(list); {
		j := i + 1
		for j < len(list) && list[j].kind == list[i].kind && list[j].t-list[j-1].t <= together {
			j++
		}
		slices.SortStableFunc(list[i:j], func(a, b moment) int { return strings.Compare(a.text, b.text) })
		i = j
	}
}

// steps joins what repeats.
func steps(list []moment) []step {
	var out []step
	var last int64
	for _, m := range list {
		if k := len(out) - 1; k >= 0 && out[k].What == m.text {
			out[k].N = max(out[k].N, 1) + 1
		} else {
			out = append(out, step{Gap: halves(m.t - last), What: m.text})
		}
		last = m.t
	}
	return out
}

// moments undoes steps, as far as it can be: what repeats gets one time.
func moments(list []step) []moment {
	var out []moment
	var t int64
	for _, s := range list {
		t += int64(s.Gap * 1000)
		for range max(s.N, 1) {
			out = append(out, moment{t: t, text: s.What})
		}
	}
	return out
}

func halves(ms int64) float64 { return max(0, math.Round(float64(ms)/500)/2) }

// callKind groups calls that run side by side.
func callKind(rpc string) string {
	if rpc == "ExecSync" {
		return "StopContainer"
	}
	return rpc
}

func callName(c call) string {
	name := c.RPC
	if c.Container != "" {
		name += " " + c.Container
	}
	if c.Attempt != nil {
		name += fmt.Sprintf("#%d", *c.Attempt)
	}
	return name
}

func callText(c call) string {
	var b strings.Builder
	b.WriteString(callName(c))
	var keys []string
	for k := range c.Fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		fmt.Fprintf(&b, " %s=%v", k, c.Fields[k])
	}
	if c.Err != "" {
		b.WriteString(" err=" + c.Err)
	}
	if took := halves(c.End - c.T); took > 0 {
		fmt.Fprintf(&b, " took=%gs", took)
	}
	return b.String()
}

var (
	podID     = regexp.MustCompile(`(_[a-z0-9.-]+)\([^()\s]+\)`)
	durations = regexp.MustCompile(`in [0-9.]+[a-zµ]+ \([0-9.]+[a-zµ]+ including waiting\)`)
)

// texts takes ids, durations and a static pod's node name out of a text.
func texts(r *record) func(string) string {
	suffix := ""
	for _, c := range r.Calls {
		if h, ok := c.Fields["hostname"].(string); ok && r.static() {
			suffix = strings.TrimPrefix(h, r.Name)
		}
	}
	return func(s string) string {
		if suffix != "" {
			s = strings.ReplaceAll(s, r.Name+suffix, r.Name)
		}
		s = podID.ReplaceAllString(s, "$1(UID)")
		return durations.ReplaceAllString(s, "in D (D including waiting)")
	}
}

// statusText tells a status: the phase, what is set, the conditions by type, the
// containers.
func statusText(s *corev1.PodStatus) string {
	parts := []string{string(s.Phase)}
	if s.Reason != "" || s.Message != "" {
		parts = append(parts, s.Reason+"/"+s.Message)
	}
	parts = append(parts, fmt.Sprintf("qos=%s start=%t hostIP=%t podIP=%t", s.QOSClass, s.StartTime != nil, s.HostIP != "", s.PodIP != ""))
	var conditions []string
	for _, c := range s.Conditions {
		text := string(c.Type) + "=" + string(c.Status)
		if c.Reason != "" || c.Message != "" {
			text += "/" + c.Reason
		}
		if c.Message != "" {
			text += "/" + c.Message
		}
		conditions = append(conditions, text)
	}
	slices.Sort(conditions)
	parts = append(parts, conditions...)
	for _, list := range []struct {
		role string
		of   []corev1.ContainerStatus
	}{{"init", s.InitContainerStatuses}, {"app", s.ContainerStatuses}, {"ephemeral", s.EphemeralContainerStatuses}} {
		for i := range list.of {
			parts = append(parts, containerText(list.role, &list.of[i]))
		}
	}
	return strings.Join(parts, separator)
}

// separator stands between the parts of a status.
const separator = " | "

func containerText(role string, c *corev1.ContainerStatus) string {
	out := fmt.Sprintf("%s:%s=%s ready=%t started=%t restarts=%d", role, c.Name, stateText(c.State), c.Ready,
		c.Started != nil && *c.Started, c.RestartCount)
	if c.LastTerminationState != (corev1.ContainerState{}) {
		out += " last=" + stateText(c.LastTerminationState)
	}
	return out
}

func stateText(s corev1.ContainerState) string {
	join := func(parts ...string) string {
		for len(parts) > 0 && parts[len(parts)-1] == "" {
			parts = parts[:len(parts)-1]
		}
		return strings.Join(parts, "/")
	}
	switch {
	case s.Running != nil:
		return "running"
	case s.Terminated != nil:
		return join("terminated", fmt.Sprint(s.Terminated.ExitCode), s.Terminated.Reason, s.Terminated.Message)
	case s.Waiting != nil:
		return join("waiting", s.Waiting.Reason, s.Waiting.Message)
	}
	return "none"
}

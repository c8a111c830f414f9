//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/local"
	"github.com/lifepod/lifepod/pod"
)

// printer writes what happens, a line at a time: for people or as JSON.
type printer struct {
	mu   sync.Mutex
	json bool
}

func (p *printer) say(format string, args ...any) {
	p.line("message", fmt.Sprintf(format, args...), fmt.Sprintf(format, args...))
}

func (p *printer) line(kind string, value any, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.json {
		b, _ := json.Marshal(map[string]any{"type": kind, "time": time.Now(), kind: value})
		text = string(b)
	}
	fmt.Println(text)
}

func (p *printer) events(ctx context.Context, h *local.Handle) {
	for e, err := range h.Events(ctx) {
		if err != nil {
			return
		}
		p.line("event", e, fmt.Sprintf("%-8s %-7s %-12s %s  %s", h.Pod().Name, e.Type, e.Reason, e.InvolvedObject.FieldPath, e.Message))
	}
}

// status prints what changed since the last one.
func (p *printer) status(q *corev1.Pod, last, now corev1.PodStatus) {
	if p.json {
		p.line("status", now, "")
		return
	}
	if now.Phase != last.Phase {
		p.say("%-8s phase %s %s", q.Name, now.Phase, now.Reason)
	}
	for _, c := range now.Conditions {
		if old := pod.Condition(&last, c.Type); old == nil || old.Status != c.Status {
			p.say("%-8s condition %s=%s %s %s", q.Name, c.Type, c.Status, c.Reason, c.Message)
		}
	}
	for _, list := range [][2][]corev1.ContainerStatus{
		{last.InitContainerStatuses, now.InitContainerStatuses}, {last.ContainerStatuses, now.ContainerStatuses},
	} {
		for _, c := range list[1] {
			if old := pod.Status(list[0], c.Name); old == nil || describeState(old) != describeState(&c) {
				p.say("%-8s container %s: %s", q.Name, c.Name, describeState(&c))
			}
		}
	}
}

func describeState(c *corev1.ContainerStatus) string {
	text := "waiting"
	switch s := c.State; {
	case s.Running != nil:
		text = "running"
	case s.Terminated != nil:
		text = fmt.Sprintf("terminated, exit code %d, %s %s", s.Terminated.ExitCode, s.Terminated.Reason, s.Terminated.Message)
	case s.Waiting != nil:
		text = "waiting, " + s.Waiting.Reason + " " + s.Waiting.Message
	}
	if c.Ready {
		text += ", ready"
	}
	if c.RestartCount > 0 {
		text += fmt.Sprintf(", restarts %d", c.RestartCount)
	}
	return strings.TrimSpace(text)
}

func isReady(s corev1.PodStatus) bool {
	c := pod.Condition(&s, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

func outcome(s corev1.PodStatus) string {
	text := string(s.Phase)
	for _, c := range slices.Concat(s.InitContainerStatuses, s.ContainerStatuses) {
		if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
			text += fmt.Sprintf(", %s exited with %d (%s)", c.Name, t.ExitCode, t.Reason)
		}
	}
	return strings.TrimSpace(text + " " + s.Reason + " " + s.Message)
}

// timeline prints one bar per phase of the start.
func (p *printer) timeline(h *local.Handle) {
	spans := h.Timeline()
	var bars strings.Builder
	_ = local.WriteTimeline(&bars, spans) // a Builder does not fail
	p.line("timeline", spans, "timeline of the start of "+h.Pod().Name+":\n"+strings.TrimSuffix(bars.String(), "\n"))
}

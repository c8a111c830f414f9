package plan

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// CrashKey is what a crash backoff belongs to. It changes with all that could
// make the container behave better: then the backoff begins anew.
func CrashKey(pod *corev1.Pod, c *corev1.Container) string {
	h := fnv.New64a()
	h.Write([]byte(strings.Join([]string{pod.Name, pod.Namespace, string(pod.UID), c.Name, c.Image, c.Resources.String()}, "/")))
	return strconv.FormatUint(h.Sum64(), 16)
}

func (s *state) crashPolicy() BackoffPolicy {
	p := CrashBackoff
	if m := s.in.Config.CrashBackoffMax; m > 0 {
		p.Initial, p.Max = min(p.Initial, m), m
	}
	return p
}

// crashed says that the container's last end is too recent to start it again.
// Else it lets it start, and the next delay grows: once per ended instance, the
// first time from nothing.
//
// An instance that we ended ourselves in order to start it again does not count
// at its first restart; then the one before it does, as in the kubelet.
func (s *state) crashed(c *corev1.Container) bool {
	last := s.lastEnded(c.Name)
	if f, ok := s.mem.Restart[c.Name]; ok {
		put(&s.mem.Restart, c.Name, Forced{ID: f.ID, Counted: true})
	}
	if last == nil {
		return false
	}
	key, p := CrashKey(s.pod, c), s.crashPolicy()
	b, ended := s.mem.Crash[key], s.mem.Ended[last.ID]
	until, ok := p.Until(b.BackoffEntry, ended, ended)
	if ok && b.For != last.ID && s.now.Before(until) {
		s.wake(until)
		s.showCrash(c, b.Delay)
		return true
	}
	if b.For != last.ID {
		put(&s.mem.Crash, key, Backoff{BackoffEntry: p.Next(b.BackoffEntry, ended, s.now), For: last.ID})
	}
	return false
}

// lastEnded is the newest instance that exited and counts.
func (s *state) lastEnded(name string) *Container {
	list, f := s.seen(name), s.mem.Restart[name]
	for i, c := range list {
		if c.State == Exited && (f.Counted || f.ID != c.ID) {
			return &list[i]
		}
	}
	return nil
}

func (s *state) showCrash(c *corev1.Container, delay time.Duration) {
	old := s.mem.Failures[c.Name]
	message := fmt.Sprintf("back-off %s restarting failed container=%s pod=%s", delay, c.Name, s.podName())
	if old.Reason == "CrashLoopBackOff" && old.Message == message {
		return
	}
	put(&s.mem.Failures, c.Name, StartFailure{Reason: "CrashLoopBackOff", Message: message, At: s.now, Tries: old.Tries})
	s.warn("BackOff", c.Name, fmt.Sprintf("Back-off restarting failed container %s in pod %s", c.Name, s.podName()))
	s.again = true
}

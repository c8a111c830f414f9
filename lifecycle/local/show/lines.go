package show

import (
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/local"
	"github.com/lifepod/lifepod/pod"
)

// lines writes a line for each thing that happens.
type lines struct {
	out   io.Writer
	began time.Time
}

func (l *lines) line(p Pod, text string) {
	fmt.Fprintf(l.out, "%8.3fs %s  %s\n", time.Since(l.began).Seconds(), p.Pod().Name, local.Printable(strings.TrimSpace(text)))
}

func (l *lines) status(p Pod, old, now corev1.PodStatus) {
	for _, text := range changes(old, now) {
		l.line(p, text)
	}
}

func (l *lines) event(p Pod, e corev1.Event) { l.line(p, eventText(e)) }

func (l *lines) started(p Pod) {
	l.line(p, "Timeline:")
	for _, bar := range local.Bars(local.Phases(p.Timeline(), time.Now()), 77) {
		fmt.Fprintln(l.out, "  "+bar)
	}
}

func (l *lines) waits(p Pod, text string) { l.line(p, text) }

func (l *lines) say(p Pod, text string) { l.line(p, text) }

func (l *lines) close() {}

func eventText(e corev1.Event) string {
	return strings.Join(strings.Fields(strings.Join([]string{e.Type, e.Reason, e.InvolvedObject.FieldPath}, " ")), " ") +
		": " + e.Message
}

// changes are what a status says that the one before did not.
func changes(old, now corev1.PodStatus) []string {
	var out []string
	if now.Phase != old.Phase || now.Reason != old.Reason {
		out = append(out, "Status: "+string(now.Phase)+because(now.Reason, now.Message))
	}
	for _, c := range now.Conditions {
		if was := pod.Condition(&old, c.Type); was == nil || was.Status != c.Status || was.Reason != c.Reason {
			out = append(out, fmt.Sprintf("Condition %s: %s%s", c.Type, c.Status, because(c.Reason, c.Message)))
		}
	}
	for _, list := range [][2][]corev1.ContainerStatus{
		{old.InitContainerStatuses, now.InitContainerStatuses}, {old.ContainerStatuses, now.ContainerStatuses},
	} {
		for _, c := range list[1] {
			if was := pod.Status(list[0], c.Name); was == nil || containerText(*was) != containerText(c) {
				out = append(out, "Container "+c.Name+": "+containerText(c))
			}
		}
	}
	return out
}

func because(reason, message string) string {
	if reason == "" && message == "" {
		return ""
	}
	return " (" + strings.TrimSuffix(strings.TrimPrefix(reason+": "+message, ": "), ": ") + ")"
}

func containerText(c corev1.ContainerStatus) string {
	state, reason, message := stateOf(c)
	text := state + because(reason, message)
	if c.Ready {
		text += ", Ready"
	}
	if c.RestartCount > 0 {
		text += fmt.Sprintf(", Restart Count %d", c.RestartCount)
	}
	return text
}

// stateOf names a container's state as kubectl describe does.
func stateOf(c corev1.ContainerStatus) (state, reason, message string) {
	switch s := c.State; {
	case s.Running != nil:
		return "Running", "", ""
	case s.Terminated != nil:
		t := s.Terminated
		if t.ExitCode != 0 {
			message = fmt.Sprintf("exit code %d", t.ExitCode)
		}
		if t.Signal != 0 {
			message = fmt.Sprintf("signal %d", t.Signal)
		}
		return "Terminated", t.Reason, strings.TrimPrefix(strings.TrimSuffix(message+", "+t.Message, ", "), ", ")
	case s.Waiting != nil:
		return "Waiting", s.Waiting.Reason, s.Waiting.Message
	}
	return "Waiting", "", ""
}

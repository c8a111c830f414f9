package local

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/pod"
)

// Describe writes all that is known of a pod, in the order and the words of
// kubectl describe. All texts are [Printable].
func (n *Node) Describe(ctx context.Context, name string, out io.Writer) error {
	rec, err := n.find(name)
	if err != nil {
		return err
	}
	info, err := n.info(ctx, rec)
	if err != nil {
		return err
	}
	return describe(out, info, readEvents(n.eventsFile(rec.Pod.UID)))
}

func describe(out io.Writer, info PodInfo, events []corev1.Event) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	describePod(w, info)
	for _, group := range []struct {
		title    string
		kind     pod.Kind
		statuses []corev1.ContainerStatus
	}{
		{"Init Containers:", pod.Init, info.Status.InitContainerStatuses},
		{"Containers:", pod.Regular, info.Status.ContainerStatuses},
	} {
		first := true
		for c := range pod.Containers(&info.Pod.Spec, group.kind) {
			if first {
				fmt.Fprintln(w, group.title)
			}
			first = false
			describeContainer(w, c, pod.Status(group.statuses, c.Name))
		}
	}
	describeConditions(w, info)
	describeEvents(w, events)
	return w.Flush()
}

func describePod(w io.Writer, info PodInfo) {
	p, s := info.Pod, info.Status
	row := func(name, value string) { cells(w, name+":", value) }
	row("Name", p.Name)
	row("Namespace", p.Namespace)
	row("Node", p.Spec.NodeName+"/"+s.HostIP)
	if s.StartTime != nil {
		row("Start Time", s.StartTime.Format(time.RFC1123Z))
	}
	row("Labels", pairs(p.Labels))
	row("Annotations", pairs(p.Annotations))
	status := string(s.Phase)
	if info.Deleting {
		status = "Terminating"
	}
	row("Status", status)
	if s.Reason != "" {
		row("Reason", s.Reason)
	}
	if s.Message != "" {
		row("Message", s.Message)
	}
	if !info.Driven {
		row("Driven", "no: undriven since "+info.Since.Format(time.DateTime)+"; what follows was last known then")
	}
	row("IP", s.PodIP)
	row("QoS Class", string(s.QOSClass))
}

func pairs(m map[string]string) string {
	var out []string
	for k, v := range m {
		out = append(out, k+"="+v)
	}
	if out == nil {
		return "<none>"
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

func describeContainer(w io.Writer, c *corev1.Container, s *corev1.ContainerStatus) {
	cells(w, "  "+c.Name+":")
	row := func(name, value string) { cells(w, "    "+name+":", value) }
	row("Image", c.Image)
	if len(c.Command) > 0 {
		row("Command", strings.Join(c.Command, " "))
	}
	if len(c.Args) > 0 {
		row("Args", strings.Join(c.Args, " "))
	}
	if s == nil {
		return
	}
	row("Container ID", s.ContainerID)
	row("Image ID", s.ImageID)
	describeState(row, "State", s.State)
	if s.LastTerminationState.Terminated != nil {
		describeState(row, "Last State", s.LastTerminationState)
	}
	row("Ready", strings.ToTitle(fmt.Sprint(s.Ready)[:1])+fmt.Sprint(s.Ready)[1:])
	row("Restart Count", fmt.Sprint(s.RestartCount))
}

func describeState(row func(name, value string), title string, s corev1.ContainerState) {
	switch {
	case s.Running != nil:
		row(title, "Running")
		row("  Started", s.Running.StartedAt.Format(time.RFC1123Z))
	case s.Terminated != nil:
		t := s.Terminated
		row(title, "Terminated")
		row("  Reason", t.Reason)
		if t.Message != "" {
			row("  Message", t.Message)
		}
		row("  Exit Code", fmt.Sprint(t.ExitCode))
		row("  Finished", t.FinishedAt.Format(time.RFC1123Z))
	case s.Waiting != nil:
		row(title, "Waiting")
		row("  Reason", s.Waiting.Reason)
		if s.Waiting.Message != "" {
			row("  Message", s.Waiting.Message)
		}
	}
}

func describeConditions(w io.Writer, info PodInfo) {
	title := "Conditions:"
	if !info.Driven {
		title = "Conditions (last known " + info.Since.Format(time.DateTime) + ", nobody looks since):"
	}
	fmt.Fprintln(w, title)
	cells(w, "  Type", "Status", "Reason", "Message")
	for _, c := range info.Status.Conditions {
		cells(w, "  "+string(c.Type), string(c.Status), c.Reason, c.Message)
	}
}

func describeEvents(w io.Writer, events []corev1.Event) {
	if len(events) == 0 {
		cells(w, "Events:", "<none>")
		return
	}
	fmt.Fprintln(w, "Events:")
	cells(w, "  Type", "Reason", "Age", "From", "Message")
	for _, e := range events {
		age := time.Since(e.LastTimestamp.Time).Truncate(time.Second).String()
		if e.Count > 1 {
			age += fmt.Sprintf(" (x%d)", e.Count)
		}
		cells(w, "  "+e.Type, e.Reason, age, e.Source.Component, e.Message)
	}
}

// cells writes a row of a tabwriter's table.
func cells(w io.Writer, texts ...string) {
	for i, text := range texts {
		if i > 0 {
			fmt.Fprint(w, "\t")
		}
		fmt.Fprint(w, Printable(text))
	}
	fmt.Fprintln(w)
}

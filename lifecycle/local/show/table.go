package show

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/local"
	"github.com/lifepod/lifepod/pod"
)

// Table writes pods as a table, one a line: what their status says, whether a
// process drives them, and which containers really run.
func Table(out io.Writer, pods []local.PodInfo) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAMESPACE\tNAME\tPHASE\tREADY\tRESTARTS\tIP\tDRIVEN\tRUNNING")
	for _, p := range pods {
		ready, restarts := 0, int32(0)
		for _, c := range p.Status.ContainerStatuses {
			restarts += c.RestartCount
			if c.Ready {
				ready++
			}
		}
		driven := "yes"
		if !p.Driven {
			driven = "undriven since " + p.Since.Format(time.DateTime)
		}
		var running []string
		for _, c := range p.Containers {
			if c.State == "running" {
				running = append(running, c.Name)
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d/%d\t%d\t%s\t%s\t%s\n", p.Pod.Namespace, p.Pod.Name, p.Status.Phase, ready,
			len(p.Pod.Spec.Containers), restarts, p.Status.PodIP, driven, strings.Join(running, ","))
	}
	return w.Flush()
}

// Outcome says in a line how a pod ended. Before is its status before its end was
// asked for: a container that never ran was waiting for something then.
func Outcome(before, last corev1.PodStatus) string {
	text := string(last.Phase)
	was := slices.Concat(before.InitContainerStatuses, before.ContainerStatuses)
	for _, c := range slices.Concat(last.InitContainerStatuses, last.ContainerStatuses) {
		t := c.State.Terminated
		if t == nil || t.ExitCode == 0 {
			continue
		}
		if b := pod.Status(was, c.Name); b != nil && b.State.Waiting != nil && t.Reason == "ContainerStatusUnknown" {
			text += fmt.Sprintf(", %s did not run%s", c.Name, because(b.State.Waiting.Reason, b.State.Waiting.Message))
			continue
		}
		text += fmt.Sprintf(", %s exited with %d (%s)", c.Name, t.ExitCode, t.Reason)
	}
	return strings.TrimSpace(text + because(last.Reason, last.Message))
}

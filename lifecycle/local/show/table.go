package show

import (
	"context"
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
		ready, all, restarts := counts(p.Pod, p.Status)
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
		text := local.Printable
		fmt.Fprintf(w, "%s\t%s\t%s\t%d/%d\t%d\t%s\t%s\t%s\n", text(p.Pod.Namespace), text(p.Pod.Name),
			text(string(p.Status.Phase)), ready, all, restarts, text(p.Status.PodIP), driven, text(strings.Join(running, ",")))
	}
	return w.Flush()
}

// counts are the ready containers, all containers and the restarts of kubectl get
// pods: sidecars are among them, other init containers only by their restarts
// while the pod initializes.
func counts(p *corev1.Pod, s corev1.PodStatus) (ready, all int, restarts int32) {
	statuses := s.ContainerStatuses
	initialized := pod.Condition(&s, corev1.PodInitialized)
	for c := range pod.Containers(&p.Spec, pod.Init) {
		st := pod.Status(s.InitContainerStatuses, c.Name)
		switch {
		case pod.IsSidecar(c):
			all++
			if st != nil {
				statuses = append(slices.Clip(statuses), *st)
			}
		case st != nil && (initialized == nil || initialized.Status != corev1.ConditionTrue):
			restarts += st.RestartCount
		}
	}
	for _, c := range statuses {
		restarts += c.RestartCount
		if c.Ready {
			ready++
		}
	}
	return ready, all + len(p.Spec.Containers), restarts
}

// Outcome says in a line how a pod ended of which nothing is left. Before is its
// status before its end was asked for: a container that never ran was waiting for
// something then. Where that does not tell why, the pod's events do.
func Outcome(ctx context.Context, p Pod, before, last corev1.PodStatus) string {
	text := string(last.Phase)
	was := slices.Concat(before.InitContainerStatuses, before.ContainerStatuses)
	told := true
	for _, c := range slices.Concat(last.InitContainerStatuses, last.ContainerStatuses) {
		t := c.State.Terminated
		if t == nil || t.ExitCode == 0 {
			continue
		}
		if t.Reason != "ContainerStatusUnknown" || c.ContainerID+t.ContainerID != "" {
			text += fmt.Sprintf(", %s exited with %d (%s)", c.Name, t.ExitCode, t.Reason)
			continue
		}
		text += ", " + c.Name + " did not run"
		if b := pod.Status(was, c.Name); b != nil && b.State.Waiting != nil {
			text += because(b.State.Waiting.Reason, b.State.Waiting.Message)
			told = told && b.State.Waiting.Message != ""
		}
	}
	text += because(last.Reason, last.Message)
	if !told {
		text += failure(ctx, p)
	}
	return strings.TrimSpace(text)
}

// failure is the pod's newest event of something that failed for all its
// containers: its sandbox, a volume.
func failure(ctx context.Context, p Pod) (text string) {
	for e, err := range p.Events(ctx) {
		if err == nil && e.Type == corev1.EventTypeWarning && strings.HasPrefix(e.Reason, "Failed") && e.InvolvedObject.FieldPath == "" {
			text = "; " + e.Reason + ": " + e.Message
		}
	}
	return text
}

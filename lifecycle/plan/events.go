package plan

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

// podName is the pod as the kubelet's messages name it.
func (s *state) podName() string {
	return fmt.Sprintf("%s_%s(%s)", s.pod.Name, s.pod.Namespace, s.pod.UID)
}

func (s *state) podEvent(kind, reason, message string) {
	s.out.Events = append(s.out.Events, Event{Type: kind, Reason: reason, Message: message})
}

// event is about a container. An instance's id in the text becomes the
// container's name, so that equal events count as equal.
func (s *state) event(kind, reason, container, id, message string) {
	if id != "" {
		message = strings.ReplaceAll(message, id, container)
	}
	s.out.Events = append(s.out.Events, Event{Type: kind, Reason: reason, Message: message, FieldPath: FieldPath(&s.pod.Spec, container)})
}

func (s *state) warn(reason, container, message string) {
	s.event(corev1.EventTypeWarning, reason, container, "", message)
}

func (s *state) tell(reason, container, message string) {
	s.event(corev1.EventTypeNormal, reason, container, "", message)
}

// FieldPath names a container of the spec as events do, "spec.containers{app}";
// empty for a name that the spec does not have.
func FieldPath(spec *corev1.PodSpec, container string) string {
	switch _, k := podutil.Find(spec, container); k {
	case podutil.Init:
		return "spec.initContainers{" + container + "}"
	case podutil.Regular:
		return "spec.containers{" + container + "}"
	case podutil.Ephemeral:
		return "spec.ephemeralContainers{" + container + "}"
	}
	return ""
}

// ProbeEvent is the event of one failed probe, or, when warning is set, of one
// that succeeded with a warning. The runner records it at each such result.
func ProbeEvent(spec *corev1.PodSpec, container string, kind ProbeKind, warning bool, output string) Event {
	e := Event{Type: corev1.EventTypeWarning, Reason: "Unhealthy", FieldPath: FieldPath(spec, container),
		Message: fmt.Sprintf("%s probe failed: %s", kind, output)}
	if warning {
		e.Reason, e.Message = "ProbeWarning", fmt.Sprintf("%s probe warning: %s", kind, output)
	}
	return e
}

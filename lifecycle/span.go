package lifecycle

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/plan"
)

// span marks an action for whoever collects spans; without a provider it costs
// next to nothing. Spans are named after their action: CreateSandbox, PullImage.
func (r *Runner) span(ctx context.Context, pod *corev1.Pod, a plan.Action) (context.Context, func(*plan.Failure)) {
	about := []attribute.KeyValue{
		attribute.String("k8s.pod.uid", string(pod.UID)), attribute.String("lifepod.key", string(a.Key())),
	}
	if name := containerOf(a); name != "" {
		about = append(about, attribute.String("k8s.container.name", name))
	}
	ctx, s := r.Tracer.Start(ctx, ActionName(a), trace.WithAttributes(about...))
	return ctx, func(f *plan.Failure) {
		if f != nil {
			s.SetStatus(codes.Error, f.Message)
		}
		s.End()
	}
}

// ActionName is an action's kind: "CreateSandbox".
func ActionName(a plan.Action) string {
	name := fmt.Sprintf("%T", a)
	return name[strings.LastIndexByte(name, '.')+1:]
}

// containerOf is the name of the container that an action is for, empty if it is
// for the pod.
func containerOf(a plan.Action) string {
	switch a := a.(type) {
	case plan.CheckImage:
		return a.Container
	case plan.PullImage:
		return a.Container
	case plan.StartContainer:
		return a.Name
	case plan.RunPostStart:
		return a.Name
	case plan.RunPreStop:
		return a.Name
	case plan.StopContainer:
		return a.Name
	case plan.RemoveContainer:
		return a.Name
	}
	return ""
}

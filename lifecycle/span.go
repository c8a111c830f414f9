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
	ctx, s := r.Tracer.Start(ctx, ActionName(a), trace.WithAttributes(
		attribute.String("k8s.pod.uid", string(pod.UID)), attribute.String("lifepod.key", string(a.Key()))))
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

package cri

import (
	"context"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// The names of the spans, one per phase of a start.
const (
	spanSandbox  = "cri/sandbox"  // all of RunPodSandbox
	spanNetwork  = "cri/network"  // namespaces and the network's Setup
	spanImage    = "cri/image"    // a pull
	spanSnapshot = "cri/snapshot" // the root filesystem
	spanCreate   = "cri/create"   // all of CreateContainer
	spanStart    = "cri/start"    // StartContainer
	spanStop     = "cri/stop"
	spanRemove   = "cri/remove"
)

// span starts one with the tracer of the caller's span; without one it costs
// nothing.
func span(ctx context.Context, name string) (context.Context, func(*error)) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, func(*error) {}
	}
	ctx, s := parent.TracerProvider().Tracer("github.com/lifepod/lifepod/cri").Start(ctx, name)
	return ctx, func(err *error) {
		if *err != nil {
			s.SetStatus(codes.Error, (*err).Error())
		}
		s.End()
	}
}

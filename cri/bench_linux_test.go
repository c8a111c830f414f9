package cri_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// BenchmarkPod starts and removes a pod of one container, and reports each step.
// The supervisor runs already: another pod keeps it.
func BenchmarkPod(b *testing.B) {
	p := newPlace(b)
	r := p.mustOpen(b)
	ctx := context.Background()
	keep := must[string](b)(r.RunPodSandbox(ctx, p.config("keep"), ""))
	b.Cleanup(func() { must[int](b)(0, r.RemovePodSandbox(ctx, keep)) })
	id := must[string](b)(r.CreateContainer(ctx, keep, p.container("main", "sleep"), nil))
	must[int](b)(0, r.StartContainer(ctx, id))

	var sandbox, create, start, remove time.Duration
	n := 0
	step := func(sum *time.Duration, since time.Time) time.Time {
		now := time.Now()
		*sum += now.Sub(since)
		return now
	}
	for b.Loop() {
		t := time.Now()
		sb, err := r.RunPodSandbox(ctx, p.config(fmt.Sprint("pod", n)), "")
		t = step(&sandbox, t)
		id, err2 := r.CreateContainer(ctx, sb, p.container("main", "sleep"), nil)
		t = step(&create, t)
		err3 := r.StartContainer(ctx, id)
		t = step(&start, t)
		err4 := r.RemovePodSandbox(ctx, sb)
		step(&remove, t)
		if err := errors.Join(err, err2, err3, err4); err != nil {
			b.Fatal(err)
		}
		n++
	}
	for name, d := range map[string]time.Duration{"sandbox-ms/op": sandbox, "create-ms/op": create, "start-ms/op": start, "remove-ms/op": remove} {
		b.ReportMetric(float64(d.Microseconds())/1000/float64(n), name)
	}
}

// BenchmarkStatus asks for a sandbox with one container.
func BenchmarkStatus(b *testing.B) {
	p := newPlace(b)
	r := p.mustOpen(b)
	ctx := context.Background()
	sb := must[string](b)(r.RunPodSandbox(ctx, p.config("pod"), ""))
	b.Cleanup(func() { must[int](b)(0, r.RemovePodSandbox(ctx, sb)) })
	must[string](b)(r.CreateContainer(ctx, sb, p.container("main", "sleep"), nil))
	for b.Loop() {
		if _, err := r.PodSandboxStatus(ctx, sb, false); err != nil {
			b.Fatal(err)
		}
	}
}

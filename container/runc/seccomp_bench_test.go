//go:build linux

package runc_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lifepod/lifepod/container"
)

// BenchmarkSeccomp times one container after another and, in each, an exec, with
// the default profile and without, by turns, and reports medians.
func BenchmarkSeccomp(b *testing.B) {
	p := newPlace(b)
	p.usePrebuilt()
	r := p.open()
	ctx := context.Background()
	var starts, execs [2][]float64
	for b.Loop() {
		for i := range 2 {
			spec := p.confined(i == 1, "sleep", "1h")
			begin := time.Now()
			if err := errors.Join(r.Create(ctx, spec), r.Start(ctx, "a")); err != nil {
				b.Fatal(err)
			}
			started := time.Now()
			if code, err := r.Exec(ctx, "a", container.Exec{Args: []string{"/testbox", "exit", "0"}}); code != 0 || err != nil {
				b.Fatal(code, err)
			}
			starts[i] = append(starts[i], ms(started.Sub(begin)))
			execs[i] = append(execs[i], ms(time.Since(started)))
			if err := r.Delete(ctx, "a"); err != nil {
				b.Fatal(err)
			}
		}
	}
	for i, how := range []string{"free", "confined"} {
		b.ReportMetric(median(starts[i]), "ms/start-"+how)
		b.ReportMetric(median(execs[i]), "ms/exec-"+how)
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

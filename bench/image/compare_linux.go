package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// compare measures all subjects in turn and prints the table.
func compare(ctx context.Context, images, host, kind string) (err error) {
	all := subjects(images, host, kind)
	which, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(s subject) bool { return !which.MatchString(s.name) })
	d, err := newDisk()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.remove()) }()
	got := make([][]figures, len(all))
	for i := range *rounds + 1 {
		for k, s := range all {
			f, err := d.measure(ctx, s)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if i > 0 || *rounds == 0 {
				got[k] = append(got[k], f)
			}
		}
	}
	fmt.Printf("\n%s:\n| | wall min | p50 | p90 | max, s | CPU p50, s | peak, MiB | above idle, MiB | pulled again, ms |\n|---|---|---|---|---|---|---|---|---|\n", kind)
	for k, s := range all {
		row(s.name, got[k])
	}
	return nil
}

// measure runs one pull on an empty filesystem, with nothing left to be written
// of what was before.
func (d *disk) measure(ctx context.Context, s subject) (f figures, err error) {
	if err := d.format(ctx); err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, d.unmount()) }()
	return s.pull(ctx, d.dir)
}

func row(name string, all []figures) {
	of := func(f func(figures) time.Duration) []time.Duration {
		var d []time.Duration
		for _, v := range all {
			d = append(d, f(v))
		}
		slices.Sort(d)
		return d
	}
	wall, cpu := of(func(f figures) time.Duration { return f.Wall }), of(func(f figures) time.Duration { return f.CPU })
	second := of(func(f figures) time.Duration { return f.Second })
	var peak, above int64
	for _, f := range all {
		peak, above = max(peak, f.Peak), max(above, f.Peak-f.Idle)
	}
	fmt.Printf("| %s | %.2f | %.2f | %.2f | %.2f | %.2f | %d | %d | %.1f |\n", name,
		at(wall, 0).Seconds(), at(wall, 0.5).Seconds(), at(wall, 0.9).Seconds(), at(wall, 1).Seconds(), at(cpu, 0.5).Seconds(),
		peak>>20, above>>20, float64(at(second, 0.5).Microseconds())/1000)
}

// at is a quantile of sorted values.
func at(sorted []time.Duration, p float64) time.Duration {
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

//go:build linux

package runc_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lifepod/lifepod/container"
)

// BenchmarkStart is create and start, and BenchmarkDelete kill and delete, of one
// container after another.
func BenchmarkStart(b *testing.B) { benchmark(b, true) }

func BenchmarkDelete(b *testing.B) { benchmark(b, false) }

func benchmark(b *testing.B, start bool) {
	p := newPlace(b)
	p.usePrebuilt()
	r := p.open()
	ctx := context.Background()
	spec := container.Spec{ID: "a", OCI: p.oci("a", "/testbox", "sleep", "1h"), Log: p.dir + "/logs/a.log"}
	for b.Loop() {
		timed(b, start, func() {
			if err := r.Create(ctx, spec); err != nil {
				b.Fatal(err)
			}
			if err := r.Start(ctx, "a"); err != nil {
				b.Fatal(err)
			}
		})
		timed(b, !start, func() {
			if err := r.Delete(ctx, "a"); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func timed(b *testing.B, yes bool, f func()) {
	if !yes {
		b.StopTimer()
		defer b.StartTimer()
	}
	f()
}

func BenchmarkExec(b *testing.B) {
	p := newPlace(b)
	p.usePrebuilt()
	r := p.open()
	p.startSpec2(b, r)
	for b.Loop() {
		if code, err := r.Exec(context.Background(), "a", container.Exec{Args: []string{"/testbox", "exit", "0"}}); code != 0 || err != nil {
			b.Fatal(code, err)
		}
	}
}

// BenchmarkMemory reports the supervisor's PSS with 1 and with 51 containers, and
// what it does in 10 idle seconds beside them.
func BenchmarkMemory(b *testing.B) {
	p := newPlace(b)
	p.usePrebuilt()
	r := p.open()
	p.startSpec2(b, r)
	time.Sleep(2 * time.Second)
	one := p.pss()
	for i := range 50 {
		id := "c" + strconv.Itoa(i)
		p.startSpec(r, container.Spec{ID: id, OCI: p.oci(id, "/testbox", "sleep", "1h"), Log: p.dir + "/logs/" + id})
	}
	time.Sleep(2 * time.Second)
	all := p.pss()
	switches, cpu := p.activity()
	time.Sleep(10 * time.Second)
	switches2, cpu2 := p.activity()
	for b.Loop() {
	}
	b.ReportMetric(one, "KiB-PSS-1")
	b.ReportMetric((all-one)/50, "KiB-PSS/more")
	b.ReportMetric(float64(switches2-switches), "switches/10s")
	b.ReportMetric(float64(cpu2-cpu), "cpu-ticks/10s")
}

func (p *place) startSpec2(b *testing.B, r container.Runtime) {
	ctx := context.Background()
	spec := container.Spec{ID: "a", OCI: p.oci("a", "/testbox", "sleep", "1h"), Log: p.dir + "/logs/a"}
	if err := r.Create(ctx, spec); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := r.Delete(ctx, "a"); err != nil {
			b.Error(err)
		}
	})
	if err := r.Start(ctx, "a"); err != nil {
		b.Fatal(err)
	}
}

// pss is the supervisor's proportional set size in KiB.
func (p *place) pss() float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.supervisor()))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte("Pss:")); ok {
			n, _ := strconv.ParseFloat(strings.Fields(string(rest))[0], 64)
			return n
		}
	}
	return 0
}

// activity counts the voluntary context switches and clock ticks of all threads.
func (p *place) activity() (switches, ticks int) {
	pid := p.supervisor()
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, t := range tasks {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", pid, t.Name()))
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				n, _ := strconv.Atoi(strings.TrimSpace(rest))
				switches += n
			}
		}
	}
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return switches, user + system
}

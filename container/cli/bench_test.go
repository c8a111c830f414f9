//go:build linux

package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/lifepod/lifepod/container"
)

// BenchmarkStart times create and start of one container after another by each
// program.
func BenchmarkStart(b *testing.B) {
	for _, program := range programs {
		b.Run(program, func(b *testing.B) {
			p := newPlace(b, program)
			r, ctx := p.open(), context.Background()
			p.start(r, p.spec("keep", "sleep", "1h"))
			for i := 0; b.Loop(); i++ {
				spec := p.spec(fmt.Sprint("b", i), "sleep", "1h")
				if err := r.Create(ctx, spec); err != nil {
					b.Fatal(err)
				}
				if err := r.Start(ctx, spec.ID); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := r.Delete(ctx, spec.ID); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

func BenchmarkExec(b *testing.B) {
	for _, program := range programs {
		b.Run(program, func(b *testing.B) {
			p := newPlace(b, program)
			r := p.open()
			p.start(r, p.spec("a", "sleep", "1h"))
			for b.Loop() {
				var out bytes.Buffer
				code, err := r.Exec(context.Background(), "a", container.Exec{Args: []string{"/testbox", "exit", "3"}, Stdout: &out})
				if code != 3 || err != nil {
					b.Fatal(code, err)
				}
			}
		})
	}
}

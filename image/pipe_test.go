package image

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// What goes in comes out, whatever the sizes of writes and reads.
func TestPipe(t *testing.T) {
	want := make([]byte, 3<<20+17)
	for i := range want {
		want[i] = byte(i * i >> 3)
	}
	for _, write := range []func(p *pipe){
		func(p *pipe) {
			for b := want; len(b) > 0; {
				n := min(len(b), 1+rand.IntN(300_000))
				if _, err := p.Write(b[:n]); err != nil {
					t.Error(err)
				}
				b = b[n:]
			}
			p.end(nil)
		},
		func(p *pipe) {
			_, err := p.ReadFrom(iotest.HalfReader(bytes.NewReader(want)))
			p.end(err)
		},
	} {
		p := newPipe()
		var seen []byte
		p.each = func(b []byte) { seen = append(seen, b...) }
		go write(p)
		got, err := io.ReadAll(iotest.HalfReader(p))
		if err != nil || !bytes.Equal(got, want) || !bytes.Equal(seen, want) {
			t.Errorf("read %d bytes, saw %d, of %d: %v", len(got), len(seen), len(want), err)
		}
	}
}

func TestPipeErrors(t *testing.T) {
	p, boom := newPipe(), errors.New("boom")
	if _, err := p.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	p.end(boom)
	if got, err := io.ReadAll(p); string(got) != "abc" || !errors.Is(err, boom) {
		t.Errorf("%q, %v", got, err)
	}
	p = newPipe()
	p.quit(boom)
	p.quit(io.EOF)
	big := make([]byte, (pipeDepth+1)*pipeChunk) // some of it may still find a free chunk
	if _, err := p.Write(big); !errors.Is(err, boom) {
		t.Errorf("writing to a reader that quit: %v", err)
	}
}

package image

import (
	"errors"
	"io"
	"sync"
)

// pipe hands chunks from one goroutine to another, a few ahead: unlike io.Pipe
// neither waits for the other at each step.
type pipe struct {
	full, free chan []byte
	// each, if set, sees every chunk as the reader takes it.
	each func([]byte)
	cur  []byte
	rest []byte // of cur

	werr error // set before full is closed
	once sync.Once
	stop chan struct{}
	rerr error // set before stop is closed
}

const (
	pipeChunk = 128 << 10
	pipeDepth = 8
)

func newPipe() *pipe {
	p := &pipe{full: make(chan []byte, pipeDepth), free: make(chan []byte, pipeDepth), stop: make(chan struct{})}
	for range pipeDepth {
		p.free <- nil // allocated when it is first needed
	}
	return p
}

// buffer waits for a chunk to fill.
func (p *pipe) buffer() ([]byte, error) {
	select {
	case b := <-p.free:
		if b == nil {
			b = make([]byte, pipeChunk)
		}
		return b[:pipeChunk], nil
	case <-p.stop:
		return nil, p.rerr
	}
}

// Write implements io.Writer. After the reader has stopped it returns the
// reader's error.
func (p *pipe) Write(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		c, err := p.buffer()
		if err != nil {
			return n, err
		}
		k := copy(c, b[n:])
		p.full <- c[:k]
		n += k
	}
	return n, nil
}

// ReadFrom implements io.ReaderFrom, without a copy. It fills each chunk: to hand
// over one wakes the reader, which costs more than a short read.
func (p *pipe) ReadFrom(r io.Reader) (int64, error) {
	var total int64
	for {
		c, err := p.buffer()
		if err != nil {
			return total, err
		}
		n, err := readFull(r, c)
		total += int64(n)
		p.full <- c[:n]
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// readFull is io.ReadFull, but ends with r's own error.
func readFull(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		k, err = r.Read(b[n:])
		n += k
	}
	return n, err
}

// end tells the reader that nothing comes after what was written: err, or
// io.EOF if it is nil.
func (p *pipe) end(err error) {
	if err == nil {
		err = io.EOF
	}
	p.werr = err
	close(p.full)
}

// quit tells the writer that nobody reads any more, and why.
func (p *pipe) quit(err error) {
	p.once.Do(func() {
		p.rerr = err
		close(p.stop)
	})
}

// Read implements io.Reader.
func (p *pipe) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.cur != nil {
			p.free <- p.cur
			p.cur = nil
		}
		c, ok := <-p.full
		if !ok {
			return 0, p.werr
		}
		if p.each != nil {
			p.each(c)
		}
		p.cur, p.rest = c, c
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

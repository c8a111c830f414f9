package image

import (
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// maxWindow is of zstd's --ultra --long=27; a layer that needs more is refused.
const maxWindow = 128 << 20

// decoders are those of one pull that no layer uses at the moment: each has a
// window, mostly of 8 MiB, and one for every layer would be most of a pull's memory.
// Its methods are safe for concurrent use.
type decoders struct {
	mu   sync.Mutex
	free []*zstd.Decoder
}

// open reads what in has packed. The decoder is free again when that is closed.
func (d *decoders) open(in io.Reader) (io.ReadCloser, error) {
	z, err := d.take()
	if err != nil {
		return nil, err
	}
	return &decoding{Decoder: z, of: d}, z.Reset(in)
}

func (d *decoders) take() (*zstd.Decoder, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.free); n > 0 {
		z := d.free[n-1]
		d.free = d.free[:n-1]
		return z, nil
	}
	// Without concurrency it has no goroutines that one would have to end.
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
}

type decoding struct {
	*zstd.Decoder
	of *decoders
}

// Close must be called once.
func (d *decoding) Close() error {
	err := d.Reset(nil)
	d.of.mu.Lock()
	defer d.of.mu.Unlock()
	d.of.free = append(d.of.free, d.Decoder)
	return err
}

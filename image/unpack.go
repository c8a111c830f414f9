package image

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/klauspost/compress/gzip"
	"github.com/lifepod/lifepod/image/layer"
	"github.com/opencontainers/go-digest"
)

// decompress tells gzip, zstd and plain tar apart by their first bytes, as
// containerd does: media types are not to be relied on.
func decompress(r io.Reader, with *decoders) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(b)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}), len(head) == 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:], []byte{0x2a, 0x4d, 0x18}):
		return with.open(b)
	}
	return io.NopCloser(b), nil
}

// nowhere, instead of a directory, lets a layer be unpacked for its digests only.
const nowhere = ""

// unpacking is a layer on its way from its packed stream into a directory:
// one goroutine decompresses, another computes the diff ID and writes the tree.
type unpacking struct {
	dir     string
	diffID  digest.Digest
	packed  int64
	options layer.Options
	with    *decoders
}

// run reads packed bytes from in to their end.
func (u unpacking) run(ctx context.Context, in io.Reader) (layer.Result, error) {
	plain := newPipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		plain.end(u.inflate(in, plain))
	}()
	hash := u.diffID.Algorithm().Hash()
	plain.each = func(b []byte) { hash.Write(b) }
	res, err := u.apply(ctx, plain)
	if err != nil {
		plain.quit(err)
	}
	<-done
	if err == nil {
		if got := digest.NewDigest(u.diffID.Algorithm(), hash); got != u.diffID {
			err = fmt.Errorf("diff ID is %s, the image's config says %s: %w", got, u.diffID, errDigest)
		}
	}
	return res, err
}

func (u unpacking) apply(ctx context.Context, r io.Reader) (layer.Result, error) {
	if u.dir != nowhere {
		return layer.Apply(ctx, u.dir, r, u.options)
	}
	_, err := io.Copy(io.Discard, r)
	return layer.Result{}, err
}

func (u unpacking) inflate(in io.Reader, out *pipe) error {
	d, err := decompress(in, u.with)
	if err != nil {
		return fmt.Errorf("decompress: %w", err)
	}
	defer d.Close()
	if _, err := out.ReadFrom(&ratio{r: d, u: u}); err != nil {
		return fmt.Errorf("decompress: %w", err)
	}
	return nil
}

// ratio ends a stream that unpacks to too much.
type ratio struct {
	r io.Reader
	u unpacking
	n int64
}

func (r *ratio) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.n += int64(n)
	if lerr := r.u.options.Limits.Ratios(r.u.packed, r.n); lerr != nil {
		return n, lerr
	}
	return n, err
}

// final says whether an error of unpacking stands whatever the layer's digest
// turns out to be. Any other may come from corrupt content, and then the digest
// is what to report.
func final(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) || errors.Is(err, layer.ErrLimit) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

package archive

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const defaultMaxBytes = 64 << 30

// random makes an archive readable anywhere: a plain tar in a regular file is
// already, anything else is unpacked into a file first.
func random(ctx context.Context, s any, r io.Reader, o LoadOptions) (at io.ReaderAt, size int64, done func(), err error) {
	if f, ok := r.(*os.File); ok {
		if size, ok := plainFile(f); ok {
			return f, size, func() {}, nil
		}
	}
	plain, err := unpacked(&until{ctx, r})
	if err != nil {
		return nil, 0, nil, err
	}
	defer plain.Close()
	f, err := spool(s)
	if err != nil {
		return nil, 0, nil, err
	}
	limit := cmp.Or(o.MaxBytes, defaultMaxBytes)
	size, err = io.Copy(f, io.LimitReader(plain, limit+1))
	if err == nil && size > limit {
		err = invalid("more than %d bytes", limit)
	}
	if err != nil {
		return nil, 0, nil, errors.Join(err, f.Close())
	}
	return f, size, func() { _ = f.Close() }, nil
}

func plainFile(f *os.File) (size int64, ok bool) {
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return 0, false
	}
	off, err := f.Seek(0, io.SeekCurrent)
	if err != nil || off != 0 {
		return 0, false
	}
	head := make([]byte, 4)
	if n, err := f.ReadAt(head, 0); err != nil || packing(head[:n]) != notPacked {
		return 0, false
	}
	return fi.Size(), true
}

func spool(s any) (*os.File, error) {
	if s, ok := s.(Spooler); ok {
		return s.Spool()
	}
	f, err := os.CreateTemp("", "image-archive-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

type packed int

const (
	notPacked packed = iota
	gzipped
	zstandard
)

// packing tells compressions apart by their first bytes.
func packing(head []byte) packed {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzipped
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return zstandard
	}
	return notPacked
}

func unpacked(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch packing(head) {
	case gzipped:
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, invalid("gzip: %w", err)
		}
		return z, nil
	case zstandard:
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(b), nil
}

package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/lifepod/lifepod/image/remote/hosts"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Blob writes a blob to w, from its first byte to its last, over as many
// requests as it takes. Its size is verified, its digest is not. An error of w
// is returned as it is.
func (r *Repository) Blob(ctx context.Context, d ocispec.Descriptor, w io.Writer) error {
	return r.BlobFrom(ctx, d, 0, w)
}

// BlobFrom is Blob for a caller who holds the first from bytes already: w gets
// what follows them. From a registry that knows no ranges all is fetched, and
// the beginning dropped. The caller verifies the digest of the whole.
//
// With Options.ForeignLayers, a blob whose descriptor has URLs is fetched from
// these first.
func (r *Repository) BlobFrom(ctx context.Context, d ocispec.Descriptor, from int64, w io.Writer) error {
	if from < 0 || from > d.Size {
		return fmt.Errorf("blob %s has %d bytes, none from %d: %w", d.Digest, d.Size, from, ErrInvalid)
	}
	if from == d.Size && from > 0 {
		return nil
	}
	f := &fetch{d: d, off: from, w: w, buf: make([]byte, 128<<10)}
	var foreign error
	if r.client.opts.ForeignLayers && len(d.URLs) > 0 {
		if foreign = r.foreign(ctx, f); foreign == nil || ctx.Err() != nil {
			return output(foreign)
		}
	}
	err := r.retry(ctx, hosts.Pull, f.visit)
	if err != nil && foreign != nil {
		err = mention(err, []error{foreign})
	}
	return output(err)
}

// output takes the mark off an error of the caller's writer.
func output(err error) error {
	var out *outputError
	if errors.As(err, &out) {
		return out.error
	}
	return err
}

// fetch is a blob on its way: off bytes of it are with the caller.
type fetch struct {
	d   ocispec.Descriptor
	off int64
	w   io.Writer
	buf []byte
	// whole: ranges were refused.
	whole bool
}

// visit fetches what is missing from one place.
func (f *fetch) visit(ctx context.Context, p *place, dog *watchdog) (further bool, err error) {
	q := request{method: http.MethodGet, path: "blobs/" + f.d.Digest.String(), from: f.begin()}
	before := f.off
	resp, err := p.send(ctx, q)
	var re *Error
	if errors.As(err, &re) && re.Status == http.StatusRequestedRangeNotSatisfiable && q.from > 0 {
		q.from, f.whole = 0, true
		resp, err = p.send(ctx, q)
	}
	if err != nil {
		return false, p.wrap(p.what(q), dog.cause(err))
	}
	defer resp.Body.Close()
	err = f.take(resp, q.from, dog)
	var out *outputError
	if err != nil && !errors.As(err, &out) {
		err = p.wrap(p.what(q), err)
	}
	return f.off > before, err
}

// begin is the byte to ask for first.
func (f *fetch) begin() int64 {
	if f.whole {
		return 0
	}
	return f.off
}

// take writes what is new in an answer to a request for the bytes from asked on.
func (f *fetch) take(resp *http.Response, asked int64, dog *watchdog) error {
	at, err := firstByte(resp, asked, f.d.Size)
	if err != nil {
		return err
	}
	body := &watched{resp.Body, dog}
	for {
		n, err := body.Read(f.buf)
		if at+int64(n) > f.d.Size {
			return fmt.Errorf("more than the %d bytes that the manifest says: %w", f.d.Size, ErrInvalid)
		}
		if skip := min(max(f.off-at, 0), int64(n)); skip < int64(n) {
			dog.hold() // a slow disk is not a stalled registry
			if _, err := f.w.Write(f.buf[skip:n]); err != nil {
				return &outputError{err}
			}
			dog.progress()
			f.off += int64(n) - skip
		}
		at += int64(n)
		if errors.Is(err, io.EOF) && at < f.d.Size {
			err = io.ErrUnexpectedEOF
		}
		if at == f.d.Size && (err == nil || errors.Is(err, io.EOF)) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("after %d of %d bytes: %w", f.off, f.d.Size, err)
		}
	}
}

// firstByte is where the answer begins: at from, or at 0 from a registry that
// knows no ranges.
func firstByte(resp *http.Response, from, size int64) (int64, error) {
	start := int64(0)
	if resp.StatusCode == http.StatusPartialContent {
		header := resp.Header.Get("Content-Range")
		first, end, total, err := contentRange(header)
		if err != nil || first > from || end != size-1 || total != size && total != -1 {
			return 0, fmt.Errorf("Content-Range %q for bytes %d to %d of %d: %w", header, from, size-1, size, ErrInvalid)
		}
		start = first
	}
	if n := resp.ContentLength; n >= 0 && start+n != size {
		return 0, fmt.Errorf("the blob has %d bytes, the manifest says %d: %w", start+n, size, ErrInvalid)
	}
	return start, nil
}

// contentRange reads "bytes first-last/total"; total is -1 for "*".
func contentRange(s string) (first, last, total int64, err error) {
	if rest, ok := strings.CutSuffix(s, "/*"); ok {
		s = rest + "/-1"
	}
	if _, err = fmt.Sscanf(s, "bytes %d-%d/%d", &first, &last, &total); err == nil && (first < 0 || last < first) {
		err = ErrInvalid
	}
	return first, last, total, err
}

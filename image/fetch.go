package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/lifepod/lifepod/image/layer"
	"github.com/lifepod/lifepod/image/remote"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// resumer is a repository that can begin anywhere in a blob.
type resumer interface {
	BlobFrom(ctx context.Context, d ocispec.Descriptor, from int64, w io.Writer) error
}

// fetch brings the blob from the registry into the store and, at the same time,
// unpacks it. What an earlier pull left of it is not fetched again.
func (w *layerWork) fetch(ctx context.Context, dir string) (layer.Result, error) {
	d := w.desc()
	if len(d.URLs) > 0 && foreign(d.MediaType) && !w.s.opts.Client.ForeignLayers {
		return layer.Result{}, fmt.Errorf("%w: a foreign layer (%s), which its registry may not distribute: Options.Client.ForeignLayers allows to fetch it from its URLs",
			errManifest, d.MediaType)
	}
	if _, ok := w.repo.(resumer); !ok {
		blob, err := w.s.newBlob(d.Digest)
		if err != nil {
			return layer.Result{}, err
		}
		return w.fetchInto(ctx, dir, &fetching{w: w, blob: blob, packed: newPipe()})
	}
	for {
		blob, held, err := w.s.resumeBlob(d)
		if err != nil {
			return layer.Result{}, err
		}
		f := &fetching{w: w, blob: blob, packed: newPipe(), held: held}
		res, err := w.fetchInto(ctx, dir, f)
		if err == nil || held == 0 || f.keep || errors.Is(err, syscall.ENOSPC) {
			return res, err
		}
		// The beginning was not what it should be: it went, and all is fetched.
		if err := emptyDir(dir); err != nil {
			return res, err
		}
	}
}

// fetchInto fetches and unpacks one blob, and gives it its name. What it got
// before an error of the network stays for the next one who wants it.
func (w *layerWork) fetchInto(ctx context.Context, dir string, f *fetching) (res layer.Result, err error) {
	d := w.desc()
	defer func() {
		if f.keep {
			err = errors.Join(err, f.blob.leave())
			return
		}
		f.blob.abort()
	}()
	var uerr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		res, uerr = w.unpacking(dir).run(ctx, f.packed)
		if uerr != nil && final(uerr) {
			f.packed.quit(uerr)
			return
		}
		_, _ = io.Copy(io.Discard, struct{ io.Reader }{f.packed}) // the digest covers what comes after the tar
	}()
	err = f.all(ctx)
	f.packed.end(err)
	if err == nil {
		w.progress.set(w.layer(w.i), Unpacking, d.Size)
	}
	<-done
	if err != nil { // of the network, of the ingest file, or the final one of unpacking
		f.keep = f.resumable(ctx, err)
		return res, err
	}
	if uerr != nil && final(uerr) {
		f.keep = f.resumable(ctx, uerr)
		return res, uerr
	}
	if err := f.blob.verify(d.Size); err != nil {
		return res, err
	}
	if uerr != nil {
		return res, uerr
	}
	return res, f.blob.commit(d.Size)
}

func foreign(mediaType string) bool {
	switch mediaType {
	case ocispec.MediaTypeImageLayerNonDistributable, ocispec.MediaTypeImageLayerNonDistributableGzip, //nolint:staticcheck // old images have them
		ocispec.MediaTypeImageLayerNonDistributableZstd, //nolint:staticcheck // old images have them
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip":
		return true
	}
	return false
}

// fetching takes the bytes of a blob as they come.
type fetching struct {
	w      *layerWork
	blob   *ingest
	packed *pipe
	// held bytes were in the file already; keep says that it is to stay.
	held int64
	keep bool
	err  error // of Write
}

// all brings the whole blob: what the file holds, then what is missing.
func (f *fetching) all(ctx context.Context) error {
	f.w.progress.set(f.w.layer(f.w.i), Fetching, f.held)
	r, ok := f.w.repo.(resumer)
	if !ok {
		return f.w.repo.Blob(ctx, f.w.desc(), f)
	}
	buf := make([]byte, pipeChunk)
	for f.blob.n < f.held {
		n, err := io.ReadFull(f.blob.f, buf[:min(f.held-f.blob.n, pipeChunk)])
		if err != nil {
			return fmt.Errorf("read %s: %w", f.blob.f.Name(), err)
		}
		f.blob.hash.Write(buf[:n])
		f.blob.n += int64(n)
		if _, err := f.packed.Write(buf[:n]); err != nil {
			return err
		}
	}
	return r.BlobFrom(ctx, f.w.desc(), f.held, f)
}

// Write implements io.Writer.
func (f *fetching) Write(b []byte) (n int, err error) {
	defer func() { f.err = err }()
	if _, err := f.blob.Write(b); err != nil {
		return 0, err
	}
	f.w.progress.set(f.w.layer(f.w.i), Fetching, f.blob.n)
	return f.packed.Write(b)
}

// resumable says whether what came is good as far as it goes: the caller gave
// up, or the registry broke off.
func (f *fetching) resumable(ctx context.Context, err error) bool {
	if _, ok := f.w.repo.(resumer); !ok || f.blob.n == 0 {
		return false
	}
	return ctx.Err() != nil || f.err == nil && !errors.Is(err, remote.ErrInvalid) && f.blob.n >= f.held
}

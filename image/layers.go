package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/lifepod/lifepod/image/layer"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// layers brings all layers into the store, some at a time, started from the
// lowest: a layer waits for those below it, so they must have begun before it.
func (p *pull) layers(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	slots := make(chan struct{}, p.s.opts.Parallel)
	below := make(chan struct{}) // closed when the layer below is in its place
	close(below)
	for i := range p.chain {
		p.progress.set(p.layer(i), Waiting, 0)
	}
	for i := range p.chain {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		w := &layerWork{pull: p, i: i, below: below, done: make(chan struct{})}
		below = w.done
		wg.Go(func() {
			defer func() { <-slots }()
			if err := w.run(ctx); err != nil {
				cancel(fmt.Errorf("layer %d (%s): %w", w.i, w.desc().Digest, err))
				return
			}
			close(w.done)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (p *pull) layer(i int) Progress {
	d := p.manifest.Layers[i]
	return Progress{Layer: d.Digest.String(), Index: i, Total: d.Size}
}

// layerWork brings one layer.
type layerWork struct {
	*pull
	i           int
	below, done chan struct{}
}

func (w *layerWork) desc() ocispec.Descriptor { return w.manifest.Layers[w.i] }

func (w *layerWork) run(ctx context.Context) error {
	chain := w.chain[w.i]
	unlock, err := w.s.lockWork(ctx, "layer", chain.String())
	if err != nil {
		return err
	}
	defer unlock()
	target := w.s.layerPath(chain)
	if exists(target) {
		w.progress.set(w.layer(w.i), Done, w.desc().Size)
		return nil
	}
	sess, err := w.s.startSession()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(sess.layers, "layer-")
	if err != nil {
		return err
	}
	res, err := w.unpackInto(ctx, dir)
	if err == nil {
		err = w.settle(ctx, dir, res)
	}
	if err == nil {
		err = rename(dir, target)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	w.progress.set(w.layer(w.i), Done, w.desc().Size)
	return nil
}

// settle waits for the layers below and takes from them the attributes of
// directories that this layer does not name.
func (w *layerWork) settle(ctx context.Context, dir string, res layer.Result) error {
	select {
	case <-w.below:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	var lowers []string
	for _, c := range slices.Backward(w.chain[:w.i]) {
		lowers = append(lowers, w.s.layerPath(c))
	}
	return layer.Inherit(dir, res.Implicit, lowers)
}

// unpackInto unpacks the layer's blob, from the store or from the registry.
func (w *layerWork) unpackInto(ctx context.Context, dir string) (layer.Result, error) {
	d := w.desc()
	unlock, err := w.s.lockWork(ctx, "blob", d.Digest.String())
	if err != nil {
		return layer.Result{}, err
	}
	defer unlock()
	if w.s.hasBlob(d) {
		res, err := w.unpackLocal(ctx, dir)
		if !errors.Is(err, errDigest) {
			return res, err
		}
		// It changed on the disk: it goes, and is fetched again.
		if err := errors.Join(removeAll(w.s.blobPath(d.Digest)), emptyDir(dir)); err != nil {
			return res, err
		}
	}
	return w.fetch(ctx, dir)
}

func (w *layerWork) unpacking(dir string) unpacking {
	return unpacking{dir: dir, diffID: w.image.RootFS.DiffIDs[w.i], packed: w.desc().Size, limits: w.s.opts.Limits.WithDefaults()}
}

// unpackLocal unpacks a blob that the store holds, and verifies it once more.
func (w *layerWork) unpackLocal(ctx context.Context, dir string) (layer.Result, error) {
	d := w.desc()
	f, err := os.Open(w.s.blobPath(d.Digest))
	if err != nil {
		return layer.Result{}, err
	}
	defer f.Close()
	w.progress.set(w.layer(w.i), Unpacking, d.Size)
	hash := d.Digest.Algorithm().Hash()
	in := io.TeeReader(f, hash)
	res, uerr := w.unpacking(dir).run(ctx, in)
	if uerr != nil && final(uerr) {
		return res, uerr
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return res, err
	}
	if got := digest.NewDigest(d.Digest.Algorithm(), hash); got != d.Digest {
		return res, fmt.Errorf("blob %s has the content of %s: %w", d.Digest, got, errDigest)
	}
	if errors.Is(uerr, errDigest) { // the manifest and the config disagree: fetching again would not help
		return res, fmt.Errorf("%w: %w", errManifest, uerr)
	}
	return res, uerr
}

// fetch brings the blob from the registry into the store and, at the same time,
// unpacks it.
func (w *layerWork) fetch(ctx context.Context, dir string) (layer.Result, error) {
	d := w.desc()
	if len(d.URLs) > 0 && foreign(d.MediaType) {
		return layer.Result{}, fmt.Errorf("%w: a foreign layer (%s), which its registry may not distribute", errManifest, d.MediaType)
	}
	blob, err := w.s.newBlob(d.Digest)
	if err != nil {
		return layer.Result{}, err
	}
	defer blob.abort()
	packed := newPipe()
	var res layer.Result
	var uerr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		res, uerr = w.unpacking(dir).run(ctx, packed)
		if uerr != nil && final(uerr) {
			packed.quit(uerr)
			return
		}
		_, _ = io.Copy(io.Discard, struct{ io.Reader }{packed}) // the digest covers what comes after the tar
	}()
	w.progress.set(w.layer(w.i), Fetching, 0)
	err = w.repo.Blob(ctx, d, &fetching{w, blob, packed})
	packed.end(err)
	if err == nil {
		w.progress.set(w.layer(w.i), Unpacking, d.Size)
	}
	<-done
	if err != nil { // of the network, of the ingest file, or the final one of unpacking
		return res, err
	}
	if uerr != nil && final(uerr) {
		return res, uerr
	}
	if err := blob.verify(d.Size); err != nil {
		return res, err
	}
	if uerr != nil {
		return res, uerr
	}
	return res, blob.commit(d.Size)
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
}

func (f *fetching) Write(b []byte) (int, error) {
	if _, err := f.blob.Write(b); err != nil {
		return 0, err
	}
	f.w.progress.set(f.w.layer(f.w.i), Fetching, f.blob.n)
	return f.packed.Write(b)
}

func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

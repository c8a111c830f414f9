package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/lifepod/lifepod/image/layer"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// layers brings all layers into the store, some at a time, started from the
// lowest: a layer waits for those below it, so they must have begun before it.
func (p *pull) layers(ctx context.Context) error {
	options, err := p.s.layerOptions()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	slots := make(chan struct{}, p.parallel())
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
		options.Lowest = i == 0
		w := &layerWork{pull: p, options: options, i: i, below: below, done: make(chan struct{})}
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

// parallel is how many layers are worked on at a time.
func (p *pull) parallel() int {
	if p.s.opts.Parallel > 0 {
		return p.s.opts.Parallel
	}
	for _, l := range p.manifest.Layers {
		if strings.HasSuffix(l.MediaType, "zstd") {
			return 2
		}
	}
	return 3
}

func (p *pull) layer(i int) Progress {
	d := p.manifest.Layers[i]
	return Progress{Layer: d.Digest.String(), Index: i, Total: d.Size}
}

// layerWork brings one layer.
type layerWork struct {
	*pull
	options     layer.Options
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
	have, err := w.s.hasLayer(ctx, chain)
	if err != nil {
		return err
	}
	have = have && w.s.hasSource(chain)
	if !have || w.opts.AllBlobs && !w.s.hasBlob(w.desc()) {
		if err := w.bring(ctx, have); err != nil {
			return err
		}
	}
	w.progress.set(w.layer(w.i), Done, w.desc().Size)
	return nil
}

// bring brings the blob, and the layer unless the store has that: then the blob is
// only held against its diff ID.
func (w *layerWork) bring(ctx context.Context, have bool) error {
	if have {
		_, err := w.unpackInto(ctx, nowhere)
		return err
	}
	sess, err := w.s.startSession()
	if err != nil {
		return err
	}
	dir, files, err := sess.newLayer()
	if err != nil {
		return err
	}
	res, err := w.unpackInto(ctx, files)
	if err == nil {
		err = w.place(ctx, dir, files, res)
	}
	if err != nil {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// place finishes a layer and gives it its name.
func (w *layerWork) place(ctx context.Context, dir, files string, res layer.Result) error {
	chain := w.chain[w.i]
	target := w.s.layerPath(chain)
	err := w.settle(ctx, files, res)
	if err == nil {
		err = writeRecord(filepath.Join(dir, layerFile), w.record())
	}
	if err == nil && exists(target) { // without its source, but others may have it mounted
		err = w.s.quarantine(syncedLayer, chain, errSource)
	}
	if err == nil {
		err = rename(dir, target)
	}
	return err
}

var errSource = errors.New("the blob that it was unpacked from is missing")

// settle waits for the layers below and takes from them the attributes of
// directories that this layer does not name.
func (w *layerWork) settle(ctx context.Context, dir string, res layer.Result) error {
	select {
	case <-w.below:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return w.s.settle(dir, res, w.chain[:w.i])
}

// record is what the store remembers of the layer.
func (w *layerWork) record() layerRecord {
	r := layerRecord{DiffID: w.image.RootFS.DiffIDs[w.i], Blob: w.desc().Digest}
	if w.i > 0 {
		r.Below = w.chain[w.i-1]
	}
	return r
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
		if dir == nowhere { // another pull was faster
			return layer.Result{}, nil
		}
		res, err := w.unpackLocal(ctx, dir)
		if !errors.Is(err, errDigest) {
			return res, err
		}
		// It changed on the disk: it is set aside, and fetched again.
		if err := errors.Join(w.s.quarantine(syncedBlob, d.Digest, err), emptyDir(dir)); err != nil {
			return res, err
		}
	}
	return w.fetch(ctx, dir)
}

func (w *layerWork) unpacking(dir string) unpacking {
	return unpacking{dir: dir, diffID: w.image.RootFS.DiffIDs[w.i], packed: w.desc().Size, options: w.options, with: &w.decoders}
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

func emptyDir(dir string) error {
	if dir == nowhere {
		return nil
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

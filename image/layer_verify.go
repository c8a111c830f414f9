package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/lifepod/lifepod/image/layer"
	"github.com/opencontainers/go-digest"
)

// verifyLayer unpacks a layer once more from its blob and compares. The error
// wraps errDamaged if they differ. The caller keeps the content from being
// removed.
func (s *Store) verifyLayer(ctx context.Context, chain digest.Digest) error {
	if err := chain.Validate(); err != nil {
		return fmt.Errorf("%s does not belong here: %w", s.layerPath(chain), err)
	}
	r, err := s.layer(chain)
	if err != nil {
		return err
	}
	below, err := s.below(r)
	if err != nil {
		return fmt.Errorf("layer %s: %w", chain, err)
	}
	sess, err := s.startSession()
	if err != nil {
		return err
	}
	dir, files, err := sess.newLayer()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	res, err := s.remake(ctx, r, files)
	if err != nil {
		return fmt.Errorf("layer %s cannot be verified: %w", chain, err)
	}
	if err := s.settle(files, res, below); err != nil {
		return fmt.Errorf("layer %s cannot be verified: %w", chain, err)
	}
	diffs, err := layer.Compare(ctx, files, s.layerFiles(chain))
	if err != nil || len(diffs) > 0 {
		return fmt.Errorf("layer %s is not what its blob holds: %s: %w", chain, strings.Join(diffs[:min(3, len(diffs))], "; "), errorOr(err, errDamaged))
	}
	return nil
}

// verifiedLayers are those that this process has verified. They are read-only;
// what happens to them later, Check finds.
type verifiedLayers struct {
	mu   sync.Mutex
	done map[digest.Digest]bool
}

// once calls verify unless it went well before.
func (v *verifiedLayers) once(chain digest.Digest, verify func() error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.done[chain] {
		return nil
	}
	if err := verify(); err != nil {
		return err
	}
	if v.done == nil {
		v.done = map[digest.Digest]bool{}
	}
	v.done[chain] = true
	return nil
}

func errorOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// below lists the chain IDs below a layer, lowest first.
func (s *Store) below(r layerRecord) ([]digest.Digest, error) {
	if r.Below == "" {
		return nil, nil
	}
	next, err := s.layer(r.Below)
	if err != nil {
		return nil, err
	}
	lower, err := s.below(next)
	return append(lower, r.Below), err
}

// remake unpacks a layer's blob, without limits: it was unpacked before.
func (s *Store) remake(ctx context.Context, r layerRecord, dir string) (layer.Result, error) {
	o, err := s.layerOptions()
	if err != nil {
		return layer.Result{}, err
	}
	o.Lowest = r.Below == ""
	o.Limits = layer.Limits{Entries: -1, Name: -1, Unpacked: -1, Ratio: -1}
	f, err := os.Open(s.blobPath(r.Blob))
	if err != nil {
		return layer.Result{}, err
	}
	defer f.Close()
	v := r.Blob.Verifier()
	in := io.TeeReader(f, v)
	u := unpacking{dir: dir, diffID: r.DiffID, options: o, with: &decoders{}}
	res, uerr := u.run(ctx, in)
	if _, err := io.Copy(io.Discard, in); err != nil {
		return res, err
	}
	if !v.Verified() {
		return res, fmt.Errorf("blob %s is damaged", r.Blob) // and found as such by itself
	}
	return res, uerr
}

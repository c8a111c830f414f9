package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/lifepod/lifepod/image/layer"
	"github.com/opencontainers/go-digest"
)

// What a layer's directory holds.
const (
	layerFS   = "fs"
	layerFile = "layer.json"
)

// layerRecord says where a layer came from: how to make it again, and what to
// hold it against.
type layerRecord struct {
	DiffID, Blob digest.Digest
	// Below is the chain ID of the layer below; empty for the lowest.
	Below digest.Digest `json:",omitempty"`
}

// chain is the chain ID that the record is of, by the image specification.
func (r layerRecord) chain() digest.Digest {
	if r.Below == "" {
		return r.DiffID
	}
	return digest.FromString(r.Below.String() + " " + r.DiffID.String())
}

// layer reads the record of a layer. ErrNotFound if the store does not hold it.
func (s *Store) layer(chain digest.Digest) (r layerRecord, err error) {
	if err := readRecord(filepath.Join(s.layerPath(chain), layerFile), &r); err != nil {
		return r, fmt.Errorf("layer %s: %w", chain, err)
	}
	if got := r.chain(); got != chain {
		return r, fmt.Errorf("layer %s: its record is of %s: %w", chain, got, errDamaged)
	}
	return r, nil
}

// hasLayer says whether the store holds a layer that may be mounted. A damaged
// one is set aside: then it does not.
func (s *Store) hasLayer(ctx context.Context, chain digest.Digest) (bool, error) {
	err := s.intact.check(filepath.Join(s.layerPath(chain), layerFile), func() error {
		_, err := s.layer(chain)
		return err
	})
	if err == nil && s.opts.VerifyLayers {
		err = s.verified.once(chain, func() error { return s.verifyLayer(ctx, chain) })
	}
	if errors.Is(err, errDamaged) || errors.Is(err, ErrNotFound) && exists(s.layerPath(chain)) {
		return false, s.quarantine(syncedLayer, chain, err)
	}
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// hasSource says whether the store holds the blob that a layer came from: one
// that was damaged is gone, and with it what tells whether the layer is whole.
func (s *Store) hasSource(chain digest.Digest) bool {
	r, err := s.layer(chain)
	return err == nil && exists(s.blobPath(r.Blob))
}

// newLayer makes a directory for a layer on its way, and the one for its files.
func (n *session) newLayer() (dir, files string, err error) {
	if dir, err = os.MkdirTemp(n.layers, "layer-"); err != nil {
		return "", "", err
	}
	files = filepath.Join(dir, layerFS)
	if err := os.Mkdir(files, 0o700); err != nil {
		return "", "", errors.Join(err, os.Remove(dir))
	}
	return dir, files, nil
}

// settle finishes a layer that was unpacked into dir: it takes from the layers
// below, lowest first, the attributes of directories that it does not name.
func (s *Store) settle(dir string, res layer.Result, below []digest.Digest) error {
	o, err := s.layerOptions()
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	lowers := s.layerDirs(below)
	slices.Reverse(lowers)
	return layer.Inherit(dir, res.Implicit, lowers, o)
}

// layerOptions says how layers of this store are unpacked.
func (s *Store) layerOptions() (layer.Options, error) {
	sn, err := s.snapshotter()
	if err != nil {
		return layer.Options{}, err
	}
	return layer.Options{Limits: s.opts.Limits.WithDefaults(), Unprivileged: sn.Unprivileged()}, nil
}

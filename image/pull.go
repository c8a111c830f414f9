package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/lifepod/lifepod/image/policy"
	"github.com/lifepod/lifepod/image/remote"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	bolt "go.etcd.io/bbolt"
)

// pull is one pull on its way.
type pull struct {
	s    *Store
	ref  policy.Reference
	opts PullOptions
	repo repository
	// as, if set, are the names to give the image, instead of ref.
	as   []policy.Reference
	host ocispec.Platform
	// told is what the registry said that the name means.
	told ocispec.Descriptor
	// known is what the name meant when it was pulled before: the store may have
	// that. It is not enough to be told a digest, of what may be another's image.
	known digest.Digest
	// landed, if set, is to be told what it means now.
	landed func(digest.Digest)
	// docs are the index and the manifest, top first.
	docs     []blob
	manifest *document
	config   blob
	image    ocispec.Image
	decoders decoders // of its layers
	chain    []digest.Digest
	progress progress
}

// blob is a small one, whole and verified.
type blob struct {
	digest digest.Digest
	bytes  []byte
}

// Pull brings an image from its registry into the store, verified and unpacked.
// What the store has already is not fetched; where it has all of it, the
// registry is asked for the digest only. Two pulls that need one blob fetch it
// once. After an error the store holds what it held before, and whole blobs
// that a later pull may use; what came of a blob before the network failed, the
// caller gave up or the process died is not fetched again for an hour, unless
// FreeSpace or Prune take it.
//
// The error is an *[Error]. It matches remote.ErrNotFound and
// remote.ErrUnauthorized with errors.Is, and its Reason is InvalidImageName,
// RegistryUnavailable, SignatureValidationFailed or "".
func (s *Store) Pull(ctx context.Context, name string, o PullOptions) (Image, error) {
	ref, err := policy.Parse(name)
	if err != nil {
		return Image{}, fail("pull", name, err)
	}
	p := &pull{s: s, ref: ref, opts: o, host: thisPlatform(), progress: progress{report: o.Progress},
		repo: s.client.Repository(ref.Domain, ref.Path, o.Auth, o.PlainHTTP)}
	if o.Platform != nil {
		p.host = normal(*o.Platform)
	}
	m, err := p.run(ctx)
	if err != nil {
		return Image{}, fail("pull", name, err)
	}
	img, err := s.Get(ctx, m.String())
	return img, fail("pull", name, err)
}

// run returns the config digest of the image.
func (p *pull) run(ctx context.Context) (digest.Digest, error) {
	for {
		have, err := p.record()
		if err != nil {
			return "", err
		}
		if id, ok, err := p.present(ctx, have); ok || err != nil {
			return id, err
		}
		fl, first, err := p.s.pulls.board(ctx, p.ref.String())
		if err != nil {
			return "", err
		}
		if !first {
			return p.follow(ctx, fl)
		}
		if id, ok, err := p.lead(ctx, fl, have); ok || err != nil {
			return id, err
		}
	}
}

// lead loads as the first of its name. It is not ok if the last one ended after
// the caller looked.
func (p *pull) lead(ctx context.Context, fl *flight, have refRecord) (id digest.Digest, ok bool, err error) {
	defer p.s.pulls.end(p.ref.String(), fl)
	now, err := p.record()
	if err != nil || now != have {
		return "", false, err
	}
	p.known, p.landed = have.Digest, fl.landed
	id, err = p.load(ctx, ocispec.Descriptor{})
	return id, true, err
}

// follow loads after the first of its name found out what that means.
func (p *pull) follow(ctx context.Context, fl *flight) (digest.Digest, error) {
	if p.known = fl.top; p.told.Digest == "" {
		if err := p.ask(ctx); err != nil {
			return "", err
		}
	}
	return p.load(ctx, ocispec.Descriptor{})
}

// ask asks what the name means. A registry that answers no such question is not
// an error.
func (p *pull) ask(ctx context.Context) (err error) {
	p.told, err = p.repo.Resolve(ctx, p.id())
	var e *remote.Error
	if errors.Is(err, remote.ErrInvalid) || errors.As(err, &e) && e.Status == http.StatusMethodNotAllowed {
		return nil // no digest in the answer, or none to a HEAD: a GET may tell it
	}
	return err
}

// load brings the image that d names, or, if d names none, what the reference
// does, whatever the store holds.
func (p *pull) load(ctx context.Context, d ocispec.Descriptor) (digest.Digest, error) {
	if err := p.resolve(ctx, cmp.Or(d.Digest.String(), p.id())); err != nil {
		return "", err
	}
	if p.landed != nil {
		p.landed(p.docs[0].digest)
	}
	if err := p.fetchConfig(ctx); err != nil {
		return "", err
	}
	if err := p.verify(ctx); err != nil {
		return "", err
	}
	sess, err := p.s.startSession()
	if err != nil {
		return "", err
	}
	release, err := p.s.lease(sess, lease{Blobs: p.blobs(), Layers: p.chain})
	if err != nil {
		return "", err
	}
	defer release()
	if err := p.layers(ctx); err != nil {
		return "", err
	}
	return p.config.digest, p.commit()
}

// id is what to ask the registry for.
func (p *pull) id() string {
	if p.ref.Digest != "" {
		return p.ref.Digest
	}
	return p.ref.Tag
}

// record is what the store knows of the name; zero if nothing.
func (p *pull) record() (have refRecord, err error) {
	name := p.ref.Tagged()
	if p.ref.Digest != "" {
		name = p.ref.Digested(p.ref.Digest)
	}
	err = p.s.view(func(tx *bolt.Tx) error {
		have, _, err = get[refRecord](tx, bucketRefs, name)
		return err
	})
	return have, err
}

// present asks for the digest only, if there is an image under this name, or
// this digest, that would do.
func (p *pull) present(ctx context.Context, have refRecord) (id digest.Digest, ok bool, err error) {
	if have == (refRecord{}) || p.opts.Verify != nil {
		return "", false, nil
	}
	if err := p.ask(ctx); err != nil || p.told.Digest != have.Digest {
		return "", false, err
	}
	id, ok, err = p.s.complete(ctx, have.Manifest, p.host, p.opts.AllBlobs)
	if err != nil || !ok || !exists(p.s.blobPath(have.Digest)) {
		return "", false, err
	}
	err = p.s.update(func(tx *bolt.Tx) error {
		if _, ok, err = get[manifestRecord](tx, bucketManifests, have.Manifest.String()); err != nil || !ok {
			return err // removed meanwhile
		}
		return p.refs(tx, have)
	})
	p.s.used(id)
	return id, ok, err
}

// maxNesting bounds how deep an index may lie in an index.
const maxNesting = 3

// resolve fetches the manifest for the platform, through indexes.
func (p *pull) resolve(ctx context.Context, id string) error {
	d, b, err := p.top(ctx, id)
	if err != nil {
		return err
	}
	for range maxNesting + 1 {
		p.docs = append(p.docs, blob{d.Digest, b})
		doc, err := decode(d.MediaType, b)
		if err != nil {
			return fmt.Errorf("manifest %s: %w", d.Digest, err)
		}
		if !doc.index() {
			p.manifest = doc
			return nil
		}
		next, err := choose(p.host, doc.Manifests)
		if err != nil {
			return err
		}
		b, err = p.small(ctx, next.Digest, func() ([]byte, error) {
			_, b, err := p.repo.Manifest(ctx, next.Digest.String())
			return b, err
		})
		if err != nil {
			return err
		}
		if d = next; int64(len(b)) != d.Size {
			return fmt.Errorf("manifest %s has %d bytes, its index says %d: %w", d.Digest, len(b), d.Size, errManifest)
		}
	}
	return fmt.Errorf("%w: indexes nested deeper than %d", errManifest, maxNesting)
}

// top brings what the reference names. Where the registry told that it is what
// it was, and the store has it, that will do.
func (p *pull) top(ctx context.Context, id string) (ocispec.Descriptor, []byte, error) {
	if p.told.Digest != "" && p.told.Digest == p.known {
		if b, err := p.s.readBlob(p.told.Digest); err == nil {
			return p.told, b, nil
		}
	}
	d, b, err := p.repo.Manifest(ctx, id)
	if err != nil {
		return d, nil, err
	}
	return d, b, p.s.putBlob(d.Digest, b)
}

// small brings a small blob, from the store, or by fetch into the store. Of
// several pulls that need it at once one fetches it.
func (p *pull) small(ctx context.Context, d digest.Digest, fetch func() ([]byte, error)) ([]byte, error) {
	unlock, err := p.s.lockWork(ctx, "blob", d.String())
	if err != nil {
		return nil, err
	}
	defer unlock()
	if b, err := p.s.readBlob(d); err == nil {
		return b, nil
	}
	b, err := fetch()
	if err != nil {
		return nil, err
	}
	return b, p.s.putBlob(d, b)
}

func (p *pull) fetchConfig(ctx context.Context) error {
	d := *p.manifest.Config
	b, err := p.small(ctx, d.Digest, func() ([]byte, error) { return p.repo.Config(ctx, d) })
	if err != nil {
		return fmt.Errorf("image config: %w", err)
	}
	p.config = blob{d.Digest, b}
	if p.image, err = decodeConfig(b, len(p.manifest.Layers)); err != nil {
		return err
	}
	p.chain = chainIDs(p.image.RootFS.DiffIDs)
	return runsOn(p.host, p.image)
}

// blobs are the digests of all that belongs to the image.
func (p *pull) blobs() []digest.Digest {
	var all []digest.Digest
	for _, d := range p.docs {
		all = append(all, d.digest)
	}
	all = append(all, p.config.digest)
	for _, l := range p.manifest.Layers {
		all = append(all, l.Digest)
	}
	return all
}

// commit makes the image known, after all of it is on disk.
func (p *pull) commit() error {
	for _, b := range append(p.docs, p.config) {
		if exists(p.s.blobPath(b.digest)) && b.digest != p.config.digest {
			continue
		}
		if err := p.s.putBlob(b.digest, b.bytes); err != nil {
			return err
		}
	}
	if !p.s.opts.NoSync {
		if err := syncFS(p.s.root); err != nil {
			return fmt.Errorf("sync: %w", err)
		}
	}
	m := manifestRecord{Config: p.config.digest, Blobs: p.blobs(), Layers: p.chain, Size: p.size()}
	last := p.docs[len(p.docs)-1].digest
	l, err := p.s.lockStore(false)
	if err != nil {
		return err
	}
	defer l.unlock()
	return p.s.update(func(tx *bolt.Tx) error {
		img, ok, err := get[imageRecord](tx, bucketImages, m.Config.String())
		if err != nil {
			return err
		}
		if !ok {
			img.Since = time.Now()
		}
		old, _, err := get[manifestRecord](tx, bucketManifests, last.String())
		if err != nil {
			return err
		}
		for _, b := range old.Blobs { // another name may mean another index of it
			if !slices.Contains(m.Blobs, b) && exists(p.s.blobPath(b)) {
				m.Blobs = append(m.Blobs, b)
			}
		}
		for _, b := range m.Blobs {
			if exists(p.s.blobPath(b)) { // or its layer came from another one
				err = errors.Join(err, put(tx, bucketSynced, syncedBlob+b.String(), true))
			}
		}
		for _, c := range m.Layers {
			err = errors.Join(err, put(tx, bucketSynced, syncedLayer+c.String(), true))
		}
		return errors.Join(err, put(tx, bucketImages, m.Config.String(), img),
			put(tx, bucketManifests, last.String(), m),
			p.refs(tx, refRecord{Digest: p.docs[0].digest, Manifest: last}))
	})
}

func (p *pull) size() int64 {
	n := int64(len(p.config.bytes))
	for _, d := range p.docs {
		n += int64(len(d.bytes))
	}
	for _, l := range p.manifest.Layers {
		n += l.Size
	}
	return n
}

// refs writes the names under which the image was pulled. A tag that came with
// a digest is not written: the registry was not asked what it names.
func (p *pull) refs(tx *bolt.Tx, r refRecord) (err error) {
	for _, ref := range p.as {
		err = errors.Join(err, put(tx, bucketRefs, ref.String(), r))
	}
	if p.as != nil {
		return err
	}
	err = put(tx, bucketRefs, p.ref.Digested(r.Digest.String()), r)
	if p.ref.Digest == "" {
		err = errors.Join(err, put(tx, bucketRefs, p.ref.Tagged(), r))
	}
	return err
}

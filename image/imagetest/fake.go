package imagetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/policy"
	"github.com/lifepod/lifepod/image/remote"
	"github.com/opencontainers/go-digest"
)

// Fake is a store of images in memory, for tests of what uses one. It keeps
// names and snapshots as a real store does; there are no files behind its
// mounts. The zero value is an empty store that can pull nothing until Publish.
// It is safe for concurrent use.
type Fake struct {
	// OnPull, if set, is asked before each pull; its error is the pull's.
	OnPull func(ctx context.Context, name string, o image.PullOptions) error

	mu     sync.Mutex
	remote map[string]Built         // normalised name with tag or digest
	refs   map[string]digest.Digest // name → ID
	images map[digest.Digest]image.Image
	keys   map[string]fakeKey
}

type fakeKey struct {
	image  digest.Digest
	layers []digest.Digest
}

// Publish makes an image to be had by Pull.
func (f *Fake) Publish(name string, img Image) error {
	ref, err := policy.Parse(name)
	if err != nil {
		return err
	}
	b, err := img.Build()
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.remote == nil {
		f.remote = map[string]Built{}
	}
	f.remote[ref.Tagged()] = b
	f.remote[ref.Digested(b.Manifest.Digest.String())] = b
	return nil
}

func fakeErr(op, name string, err error) error { return &image.Error{Op: op, Name: name, Err: err} }

// Pull implements [Store].
func (f *Fake) Pull(ctx context.Context, name string, o image.PullOptions) (image.Image, error) {
	ref, err := policy.Parse(name)
	if err != nil {
		return image.Image{}, err
	}
	if err := ctx.Err(); err != nil {
		return image.Image{}, fakeErr("pull", name, err)
	}
	if f.OnPull != nil {
		if err := f.OnPull(ctx, name, o); err != nil {
			return image.Image{}, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key := ref.Tagged()
	if ref.Digest != "" {
		key = ref.Digested(ref.Digest)
	}
	b, ok := f.remote[key]
	if !ok {
		return image.Image{}, fakeErr("pull", name, remote.ErrNotFound)
	}
	return f.add(ref, b), nil
}

func (f *Fake) add(ref policy.Reference, b Built) image.Image {
	if f.images == nil {
		f.images, f.refs = map[digest.Digest]image.Image{}, map[string]digest.Digest{}
	}
	id := b.Config.Digest
	img, ok := f.images[id]
	if !ok {
		img = image.Image{ID: id, Config: b.Image, Since: time.Now(), Size: b.Config.Size + b.Manifest.Size}
		for _, l := range b.Layers {
			img.Size += l.Size
		}
		for i, d := range b.Image.RootFS.DiffIDs {
			if i > 0 {
				d = digest.FromString(img.ChainIDs[i-1].String() + " " + d.String())
			}
			img.ChainIDs = append(img.ChainIDs, d)
		}
	}
	img.LastUsed = time.Now()
	f.images[id] = img
	f.refs[ref.Digested(b.Manifest.Digest.String())] = id
	if ref.Digest == "" {
		f.refs[ref.Tagged()] = id
	}
	return f.named(img)
}

// named fills in the names, which others may have changed.
func (f *Fake) named(img image.Image) image.Image {
	img.Tags, img.Digests = nil, nil
	for _, n := range slices.Sorted(maps.Keys(f.refs)) {
		switch {
		case f.refs[n] != img.ID:
		case strings.Contains(n, "@"):
			img.Digests = append(img.Digests, n)
		default:
			img.Tags = append(img.Tags, n)
		}
	}
	return img
}

func (f *Fake) find(name string) (image.Image, bool) {
	if img, ok := f.images[digest.Digest(name)]; ok {
		return f.named(img), true
	}
	if ref, err := policy.Parse(name); err == nil {
		key := ref.Tagged()
		if ref.Digest != "" {
			key = ref.Digested(ref.Digest)
		}
		if id, ok := f.refs[key]; ok {
			return f.named(f.images[id]), true
		}
	}
	for id, img := range f.images {
		if len(name) >= 7 && strings.HasPrefix(id.Encoded(), name) {
			return f.named(img), true
		}
	}
	return image.Image{}, false
}

// Get implements [Store].
func (f *Fake) Get(_ context.Context, name string) (image.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	img, ok := f.find(name)
	if !ok {
		return img, fakeErr("get image", name, image.ErrNotFound)
	}
	return img, nil
}

// List implements [Store].
func (f *Fake) List(context.Context) ([]image.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []image.Image
	for _, id := range slices.Sorted(maps.Keys(f.images)) {
		list = append(list, f.named(f.images[id]))
	}
	return list, nil
}

// Tag implements [Store].
func (f *Fake) Tag(_ context.Context, name, tag string) error {
	ref, err := policy.Parse(tag)
	if err == nil && ref.Digest != "" {
		err = &policy.NameError{Name: tag, Err: errors.New("a tag is needed, without a digest")}
	}
	if err != nil {
		return fakeErr("tag image", tag, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	img, ok := f.find(name)
	if !ok {
		return fakeErr("tag image", name, image.ErrNotFound)
	}
	f.refs[ref.Tagged()] = img.ID
	return nil
}

// Remove implements [Store].
func (f *Fake) Remove(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	img, ok := f.find(name)
	if !ok {
		return nil
	}
	if ref, err := policy.Parse(name); err == nil && ref.Digest == "" && len(img.Tags) > 1 && slices.Contains(img.Tags, ref.Tagged()) {
		delete(f.refs, ref.Tagged())
		return nil
	}
	maps.DeleteFunc(f.refs, func(_ string, id digest.Digest) bool { return id == img.ID })
	delete(f.images, img.ID)
	return nil
}

var fakeKeyPattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`)

// Prepare implements [Store].
func (f *Fake) Prepare(_ context.Context, key string, id digest.Digest) ([]image.Mount, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !fakeKeyPattern.MatchString(key) {
		return nil, fakeErr("prepare", key, fmt.Errorf("key %q does not match %s", key, fakeKeyPattern))
	}
	k, ok := f.keys[key]
	img, held := f.images[id]
	switch {
	case ok && k.image != id:
		return nil, fakeErr("prepare", key, image.ErrExists)
	case !ok && !held:
		return nil, fakeErr("prepare", key, image.ErrNotFound)
	case !ok:
		if f.keys == nil {
			f.keys = map[string]fakeKey{}
		}
		k = fakeKey{id, img.ChainIDs}
		f.keys[key] = k
	}
	return []image.Mount{{Type: "overlay", Source: "overlay", Options: []string{fmt.Sprintf("lowerdir=%d layers", len(k.layers)), "upperdir=" + key}}}, nil
}

// RemoveSnapshot implements [Store].
func (f *Fake) RemoveSnapshot(_ context.Context, key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keys, key)
	return nil
}

// Snapshots implements [Store].
func (f *Fake) Snapshots(context.Context) (map[string]digest.Digest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	keys := map[string]digest.Digest{}
	for k, v := range f.keys {
		keys[k] = v.image
	}
	return keys, nil
}

var (
	_ Store = (*Fake)(nil)
	_ Store = (*image.Store)(nil)
)

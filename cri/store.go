package cri

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/remote"
)

// Store is an image.Store as [Images] and [Roots].
type Store struct {
	store *image.Store
	pull  image.PullOptions

	mu       sync.Mutex
	measured time.Time
	usage    Usage
}

var (
	_ Images = (*Store)(nil)
	_ Roots  = (*Store)(nil)
)

// NewStore adapts s. The options, but for Auth, are those of every pull. s is
// the caller's to close.
func NewStore(s *image.Store, pull image.PullOptions) *Store { return &Store{store: s, pull: pull} }

// Pull pulls with a for this pull alone.
func (s *Store) Pull(ctx context.Context, ref string, a Auth) (image.Image, error) {
	o := s.pull
	o.Auth = remote.Auth{
		Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken,
		Host: a.Host,
	}
	return s.store.Pull(ctx, ref, o)
}

// Get finds an image by tag, digest or ID.
func (s *Store) Get(ctx context.Context, ref string) (image.Image, error) {
	return s.store.Get(ctx, ref)
}

// List lists all images.
func (s *Store) List(ctx context.Context) ([]image.Image, error) { return s.store.List(ctx) }

// Remove removes a tag or an image.
func (s *Store) Remove(ctx context.Context, ref string) error { return s.store.Remove(ctx, ref) }

// Mount prepares a snapshot and mounts it, above the places of the mounts that
// every container has.
func (s *Store) Mount(ctx context.Context, key string, img image.Image, target string) error {
	mounts, err := s.store.Prepare(ctx, key, img.ID)
	if err != nil {
		return err
	}
	places := filepath.Join(s.store.Root(), "mountpoints") // on the filesystem of the layers
	if err := makeMountPoints(places); err != nil {
		return wrap(err, "make the places of mounts")
	}
	return image.MountAll(image.Under(mounts, places), target)
}

// Unmount takes mount and snapshot away.
func (s *Store) Unmount(ctx context.Context, key, target string) error {
	if err := image.Unmount(target); err != nil {
		return err
	}
	return s.store.RemoveSnapshot(ctx, key)
}

// fresh is how long a measurement is good for: it walks over every file.
const fresh = 10 * time.Second

// Usage adds up the files of the store, at most every 10 s.
func (s *Store) Usage(ctx context.Context) (Usage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.usage.Path != "" && time.Since(s.measured) < fresh {
		return s.usage, nil
	}
	u := Usage{Path: s.store.Root()}
	err := filepath.WalkDir(u.Path, func(_ string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err == nil {
			u.Bytes += onDisk(fi)
			u.Inodes++
		}
		return nil
	})
	if err != nil {
		return Usage{}, err
	}
	s.usage, s.measured = u, time.Now()
	return u, nil
}

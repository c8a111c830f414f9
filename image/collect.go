package image

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/lifepod/lifepod/image/policy"
	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"
)

// Reasons of errors of [Store.FreeSpace]: Kubernetes' events have them.
const (
	ReasonFreeDiskSpace       = policy.ReasonFreeDiskSpace
	ReasonInvalidDiskCapacity = policy.ReasonInvalidDiskCapacity
)

// SpaceOptions say which images may go, and when. The zero value is Kubernetes'
// defaults, see [policy.GCOptions].
type SpaceOptions struct {
	policy.GCOptions
	// InUse, if set, says whether something uses an image that no snapshot was
	// prepared of. An image with a snapshot is in use.
	InUse func(id digest.Digest) bool
	// Since is when the caller began to watch: MinAge and MaxAge count from then at
	// the earliest. Zero means long ago.
	Since time.Time
	// Disk measures the filesystem that images lie on. Nil means the store's.
	Disk func() (policy.Disk, error)
}

// Freed is what went.
type Freed struct {
	Images []digest.Digest
	// Bytes is the sum of their sizes, packed, as Kubernetes counts.
	Bytes int64
	// Partial are the bytes beside them that had come of blobs whose pull broke
	// off: a later pull cannot go on with them.
	Partial int64
}

// FreeSpace removes images that nothing uses: those past MaxAge, and, if the
// disk is too full, first what is left of pulls that broke off, then the least
// recently used. When it has to be called is the caller's to know: Kubernetes
// does every 5 minutes. If there is too little to
// remove, the error says so in Kubernetes' words, with the reason
// FreeDiskSpaceFailed; what could go has gone.
func (s *Store) FreeSpace(ctx context.Context, o SpaceOptions) (Freed, error) {
	disk := o.Disk
	if disk == nil {
		disk = func() (policy.Disk, error) { return DiskOf(s.root) }
	}
	var partial int64
	freed, err := s.free(ctx, o, func(now time.Time, images []policy.Candidate) (policy.GC, error) {
		for {
			d, err := disk()
			if err != nil {
				return policy.GC{}, fail("measure", s.root, err)
			}
			if err := d.Check(); err != nil {
				return policy.GC{}, err
			}
			g := policy.Collect(now, o.Since, o.GCOptions, d, images)
			if g.Wanted <= 0 {
				return g, nil
			}
			n, err := s.removePartials(now)
			if partial += n; n == 0 || err != nil {
				return g, err
			}
		}
	})
	freed.Partial = partial
	return freed, err
}

// Prune removes every image that nothing uses and that is older than MinAge,
// and what is left of pulls that broke off, whatever the disk says.
func (s *Store) Prune(ctx context.Context, o SpaceOptions) (Freed, error) {
	partial, err := s.removePartials(time.Now())
	if err != nil {
		return Freed{Partial: partial}, fail("prune", s.root, err)
	}
	freed, err := s.free(ctx, o, func(now time.Time, images []policy.Candidate) (policy.GC, error) {
		return policy.Unused(now, o.GCOptions, images), nil
	})
	freed.Partial = partial
	return freed, err
}

// free decides and does. An image that came in use between the two stays, and
// then it decides again.
func (s *Store) free(ctx context.Context, o SpaceOptions, decide func(time.Time, []policy.Candidate) (policy.GC, error)) (Freed, error) {
	var all Freed
	for ctx.Err() == nil {
		now := time.Now()
		images, err := s.candidates(ctx, o)
		if err != nil {
			return all, err
		}
		g, err := decide(now, images)
		if err != nil {
			return all, err
		}
		kept, err := s.drop(g.Delete, images, &all)
		if err == nil && len(g.Delete) > 0 {
			err = s.Collect(ctx)
		}
		if err != nil {
			return all, g.Err(all.Bytes, err)
		}
		if kept > 0 {
			continue
		}
		return all, g.Err(all.Bytes, nil)
	}
	return all, context.Cause(ctx)
}

// candidates are all images, as policy sees them.
func (s *Store) candidates(ctx context.Context, o SpaceOptions) ([]policy.Candidate, error) {
	list, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	used, err := s.withSnapshot()
	if err != nil {
		return nil, err
	}
	var images []policy.Candidate
	for _, img := range list {
		images = append(images, policy.Candidate{
			ID: img.ID.String(), Size: img.Size, FirstSeen: later(img.Since, o.Since), LastUsed: img.LastUsed, Pinned: img.Pinned,
			InUse: used[img.ID] || o.InUse != nil && o.InUse(img.ID),
		})
	}
	return images, nil
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// withSnapshot says which images have a snapshot.
func (s *Store) withSnapshot() (map[digest.Digest]bool, error) {
	keys, err := s.keys()
	used := map[digest.Digest]bool{}
	for _, k := range keys {
		used[k.Image] = true
	}
	return used, err
}

// drop takes all names from images that are as they were when it was decided,
// and says how many are not. Nothing is prepared or removed meanwhile.
func (s *Store) drop(ids []string, decided []policy.Candidate, all *Freed) (kept int, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	was := map[string]policy.Candidate{}
	for _, c := range decided {
		was[c.ID] = c
	}
	l, err := s.lockStore(true)
	if err != nil {
		return 0, err
	}
	defer l.unlock()
	used, err := s.withSnapshot()
	if err != nil {
		return 0, err
	}
	var gone Freed
	err = s.update(func(tx *bolt.Tx) error {
		kept, gone = 0, Freed{}
		for _, name := range ids {
			id := digest.Digest(name)
			img, err := load(tx, id)
			if errors.Is(err, ErrNotFound) { // someone else was faster
				continue
			}
			if err != nil {
				return err
			}
			if used[id] || img.Pinned || s.lastUsed(id).After(was[name].LastUsed) {
				kept++
				continue
			}
			for _, n := range append(img.Tags, img.Digests...) {
				if err := tx.Bucket(bucketRefs).Delete([]byte(n)); err != nil {
					return err
				}
			}
			gone.Images = append(gone.Images, id)
			gone.Bytes += img.Size
		}
		return nil
	})
	if err == nil {
		all.Images = append(all.Images, gone.Images...)
		all.Bytes += gone.Bytes
	}
	return kept, err
}

// lastUsed is zero if there is no such image.
func (s *Store) lastUsed(id digest.Digest) time.Time {
	fi, err := os.Lstat(s.blobPath(id))
	if err != nil {
		return time.Time{}
	}
	return fi.ModTime()
}

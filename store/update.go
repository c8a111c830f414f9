package store

import (
	"context"
	"errors"
	"fmt"
)

// Update reads key, lets change compute the new value from it and writes the
// result only if nobody wrote in between; otherwise it starts again. change gets
// the zero Item (Revision 0) when the key is absent, may be called several times,
// and ends the update by returning an error. Update returns the item as written.
func Update(ctx context.Context, s Store, key string, change func(old Item) ([]byte, error)) (Item, error) {
	for {
		old, err := s.Get(ctx, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return Item{}, err
		}
		value, err := change(old)
		if err != nil {
			return Item{}, fmt.Errorf("update %q: %w", key, err)
		}
		rev, err := s.Put(ctx, key, value, old.Revision)
		if retry := errors.Is(err, ErrConflict) || errors.Is(err, ErrExists) || errors.Is(err, ErrNotFound); retry {
			continue
		}
		if err != nil {
			return Item{}, err
		}
		created := old.Created
		if created == 0 {
			created = rev
		}
		return Item{Key: key, Value: value, Revision: rev, Created: created}, nil
	}
}

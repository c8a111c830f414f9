package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/lifepod/lifepod/internal/sys"
	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"
)

// effectQuarantine sets content aside.
var effectQuarantine = sys.NewEffect("image/quarantine")

// quarantineTime is how long what was set aside stays, for whoever wants to see
// what became of it.
const quarantineTime = 24 * time.Hour

// quarantine sets damaged content aside: from here on the store does not hold
// it, and the next pull brings it anew. What has it mounted keeps it.
func (s *Store) quarantine(kind string, d digest.Digest, why error) error {
	from := s.blobPath(d)
	if kind == syncedLayer {
		from = s.layerPath(d)
	}
	to := filepath.Join(s.root, "quarantine", fmt.Sprintf("%d-%s-%s", time.Now().UnixNano(), strings.TrimSpace(kind), d.Encoded()))
	err := effectQuarantine.Do(func() error { return os.Rename(from, to) })
	if errors.Is(err, fs.ErrNotExist) { // someone else was faster
		return nil
	}
	if err != nil {
		return err
	}
	s.opts.Log.Info("set damaged content aside", "content", kind+d.String(), "why", why.Error(), "to", to)
	return s.update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketSynced).Delete([]byte(kind + d.String()))
	})
}

// removeQuarantined moves what was set aside long ago to trash. The layers of
// inUse stay: a container may run on them.
func (s *Store) removeQuarantined(trash string, inUse map[string]bool) error {
	dir := filepath.Join(s.root, "quarantine")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		since, what, _ := strings.Cut(e.Name(), "-")
		kind, hex, _ := strings.Cut(what, "-")
		ns, perr := strconv.ParseInt(since, 10, 64)
		if perr == nil && time.Since(time.Unix(0, ns)) < quarantineTime || inUse[kind+" sha256:"+hex] {
			continue
		}
		err = errors.Join(err, rename(filepath.Join(dir, e.Name()), filepath.Join(trash, e.Name())))
	}
	return err
}

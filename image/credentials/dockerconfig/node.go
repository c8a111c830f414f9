package dockerconfig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/lifepod/lifepod/image/credentials"
)

// Node is a kubelet's configuration for all pods of a node: the first
// config.json, else the first .dockercfg, in some directories. It matches as pull
// secrets do, and knows no helpers. It is a [credentials.Source].
type Node struct {
	dirs []string

	mu   sync.Mutex
	ring *credentials.Keyring
	err  error
	at   time.Time
}

var _ credentials.Source = (*Node)(nil)

// nodeAge is how long a kubelet trusts what it read.
const nodeAge = 5 * time.Minute

// NewNode looks in dirs; a kubelet has /var/lib/kubelet, its working directory,
// the home's .docker (the home itself for .dockercfg) and /.docker (/). What it
// finds is kept for 5 min.
func NewNode(dirs ...string) *Node { return &Node{dirs: dirs} }

// Lookup returns what fits, in the order of pull secrets. An error names files
// that could not be read, which are passed over.
func (n *Node) Lookup(_ context.Context, repository string) ([]credentials.Auth, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ring == nil || time.Since(n.at) > nodeAge {
		cfg, err := n.find()
		n.ring, n.err, n.at = &credentials.Keyring{}, err, time.Now()
		n.ring.Add(cfg)
	}
	return n.ring.Lookup(repository), n.err
}

func (n *Node) find() (credentials.Config, error) {
	var errs []error
	for _, kind := range []struct {
		name  string
		parse func([]byte) (credentials.Config, error)
	}{{"config.json", credentials.ParseConfigJSON}, {".dockercfg", credentials.ParseConfig}} {
		for _, dir := range n.dirs {
			path := filepath.Join(dir, kind.name)
			b, err := read(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			var cfg credentials.Config
			if err == nil {
				cfg, err = kind.parse(b)
			}
			if err == nil {
				return cfg, errors.Join(errs...)
			}
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
	}
	return nil, errors.Join(errs...)
}

package plugin

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lifepod/lifepod/image/credentials"
)

// Providers are the programs of a configuration, in its order. It is a
// [credentials.Source].
type Providers struct{ all []*provider }

var _ credentials.Source = (*Providers)(nil)

// Load reads a configuration, a file or a directory of files, whose programs are
// in binDir. All of them have to be there.
func Load(path, binDir string) (*Providers, error) {
	list, err := readAll(path)
	if err != nil {
		return nil, fmt.Errorf("credential providers: %w", err)
	}
	return New(list, binDir)
}

// New is Load for a configuration that was read already.
func New(list []Provider, binDir string) (*Providers, error) {
	if err := validate(list); err != nil {
		return nil, fmt.Errorf("credential providers: %w", err)
	}
	ps := &Providers{}
	for _, p := range list {
		path, err := exec.LookPath(filepath.Join(binDir, p.Name))
		if err != nil {
			return nil, fmt.Errorf("credential provider %s: %w", p.Name, err)
		}
		ps.all = append(ps.all, &provider{
			Provider: p, exec: execute(p, path),
			kept: map[string]kept{}, purged: time.Now(), flights: map[string]*flight{},
		})
	}
	return ps, nil
}

// Lookup asks all providers that match, one after the other. Where several
// answer for one registry, the provider that comes first is tried first. One
// that fails is in the error, and hinders no other.
func (ps *Providers) Lookup(ctx context.Context, repository string) ([]credentials.Auth, error) {
	var ring credentials.Keyring
	var errs []error
	for _, p := range ps.all {
		cfg, err := p.lookup(ctx, repository)
		if err != nil {
			errs = append(errs, fmt.Errorf("credential provider %s for image %s: %w", p.Name, repository, err))
			continue
		}
		ring.Add(cfg)
	}
	return ring.Lookup(repository), errors.Join(errs...)
}

// provider is a program with the answers that it gave.
type provider struct {
	Provider
	exec func(ctx context.Context, image string) (response, error)

	mu      sync.Mutex
	kept    map[string]kept // by image, registry, or global
	purged  time.Time
	flights map[string]*flight // by image
}

// kept is an answer until it expires.
type kept struct {
	cfg   credentials.Config
	until time.Time
}

// flight is a run of the program that others wait for.
type flight struct {
	done chan struct{}
	cfg  credentials.Config
	err  error
}

const (
	// global is no image and no registry: the key of an answer for all.
	global = "<global>"
	// purgeInterval is how often what expired is dropped.
	purgeInterval = 15 * time.Minute
)

// lookup returns what was kept, or asks the program; for one image it runs once
// at a time, and who comes meanwhile shares the answer.
func (p *provider) lookup(ctx context.Context, image string) (credentials.Config, error) {
	if !slices.ContainsFunc(p.MatchImages, func(glob string) bool { return credentials.Match(glob, image) }) {
		return nil, nil
	}
	for {
		p.mu.Lock()
		if cfg, ok := p.find(image, time.Now()); ok {
			p.mu.Unlock()
			return cfg, nil
		}
		f, waits := p.flights[image]
		if !waits {
			f = &flight{done: make(chan struct{})}
			p.flights[image] = f
		}
		p.mu.Unlock()
		if !waits {
			return p.fly(ctx, f, image)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if f.err == nil || !errors.Is(f.err, errLeft) {
			return f.cfg, f.err
		}
	}
}

// errLeft is that whoever ran the program went away: the next runs it again.
var errLeft = errors.New("the caller went away")

func (p *provider) fly(ctx context.Context, f *flight, image string) (credentials.Config, error) {
	r, err := p.exec(ctx, image)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.flights, image)
	defer close(f.done)
	if err == nil {
		f.cfg, f.err = p.keep(r, image, time.Now())
		return f.cfg, f.err
	}
	f.err = err
	if ctx.Err() != nil {
		f.err = errLeft
	}
	return nil, err
}

// find looks for an answer by image, registry, and for all. The caller holds mu.
func (p *provider) find(image string, now time.Time) (credentials.Config, bool) {
	if now.After(p.purged.Add(purgeInterval)) {
		for key, k := range p.kept {
			if now.After(k.until) {
				delete(p.kept, key)
			}
		}
		p.purged = now
	}
	for _, key := range []string{image, registryOf(image), global} {
		if k, ok := p.kept[key]; ok && !now.After(k.until) {
			return k.cfg, true
		}
	}
	return nil, false
}

// keep reads an answer and keeps it as long as it says. The caller holds mu.
func (p *provider) keep(r response, image string, now time.Time) (credentials.Config, error) {
	keys := map[string]string{"Image": image, "Registry": registryOf(image), "Global": global}
	key, ok := keys[r.CacheKeyType]
	if !ok {
		return nil, errors.New("the plugin did not return a valid cacheKeyType: Image, Registry or Global")
	}
	cfg := credentials.Config{}
	for registry, a := range r.Auth {
		cfg[registry] = credentials.Auth{Username: a.Username, Password: a.Password}
	}
	age := p.DefaultCacheDuration.Duration
	if r.CacheDuration != nil {
		age = r.CacheDuration.Duration
	}
	if age != 0 {
		p.kept[key] = kept{cfg, now.Add(age)}
	}
	return cfg, nil
}

func registryOf(image string) string { host, _, _ := strings.Cut(image, "/"); return host }

package cgroupstest

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lifepod/lifepod/cgroups"
)

// Fake keeps cgroups in memory. The zero value is a cgroup v2 machine without
// huge pages. It is safe for concurrent use.
type Fake struct {
	// Root is the cgroup that all others must lie in. Empty is "/".
	Root string
	// Fail, when set, is asked before each Ensure and Remove ("ensure", path); an
	// error is returned in place of doing it.
	Fail func(method, path string) error

	mu      sync.Mutex
	groups  map[string]cgroups.Values
	members map[string][]chan struct{}
}

var _ Manager = (*Fake)(nil)

func (f *Fake) begin(ctx context.Context, method, p string) error {
	if err := cgroups.CheckPath(f.Root, p); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.Fail != nil {
		return f.Fail(method, p)
	}
	return nil
}

// Ensure keeps the limits of p.
func (f *Fake) Ensure(ctx context.Context, p string, v cgroups.Values) error {
	if err := f.begin(ctx, "ensure", p); err != nil {
		return err
	}
	if err := v.Check(); err != nil {
		return fmt.Errorf("limit cgroup %s: %w", p, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.groups == nil {
		f.groups, f.members = map[string]cgroups.Values{}, map[string][]chan struct{}{}
	}
	for at := p; at != "/"; at = path.Dir(at) {
		if _, ok := f.groups[at]; !ok {
			f.groups[at] = unlimited()
		}
	}
	f.groups[p] = merge(f.groups[p], v)
	return nil
}

func unlimited() cgroups.Values {
	return cgroups.Values{
		CPUShares: ptr[uint64](1024), CPUQuota: ptr[int64](-1), CPUPeriod: ptr[uint64](100_000), Memory: ptr[int64](-1), PidsMax: ptr[int64](-1),
	}
}

func merge(old, v cgroups.Values) cgroups.Values {
	keep := func(o, n *int64, zero bool) *int64 {
		if n == nil || zero && *n == 0 {
			return o
		}
		return ptr(*n)
	}
	old.CPUQuota, old.Memory, old.PidsMax = keep(old.CPUQuota, v.CPUQuota, true), keep(old.Memory, v.Memory, true), keep(old.PidsMax, v.PidsMax, false)
	if v.CPUShares != nil {
		old.CPUShares = ptr(*v.CPUShares)
	}
	if v.CPUPeriod != nil && *v.CPUPeriod != 0 {
		old.CPUPeriod = ptr(*v.CPUPeriod)
	}
	if len(v.Unified) > 0 {
		files := maps.Clone(old.Unified)
		if files == nil {
			files = map[string]string{}
		}
		maps.Copy(files, v.Unified)
		old.Unified = files
	}
	return old
}

// Remove forgets p and what is below it, and ends its members.
func (f *Fake) Remove(ctx context.Context, p string) error {
	if err := f.begin(ctx, "remove", p); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.below(p) {
		for _, m := range f.members[g] {
			close(m)
		}
		delete(f.members, g)
		delete(f.groups, g)
	}
	return nil
}

// below lists p and the cgroups in it.
func (f *Fake) below(p string) []string {
	var list []string
	for g := range f.groups {
		if g == p || strings.HasPrefix(g, p+"/") {
			list = append(list, g)
		}
	}
	return list
}

// Join adds a process to p, which must exist; done is closed when Remove kills
// it.
func (f *Fake) Join(p string) (done <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.groups[p]; !ok {
		return nil, fmt.Errorf("join cgroup %s: %w", p, fs.ErrNotExist)
	}
	m := make(chan struct{})
	f.members[p] = append(f.members[p], m)
	return m, nil
}

// Limits returns what Ensure was given.
func (f *Fake) Limits(ctx context.Context, p string) (cgroups.Values, error) {
	if err := f.look(ctx, p); err != nil {
		return cgroups.Values{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.groups[p], nil
}

func (f *Fake) look(ctx context.Context, p string) error {
	if err := cgroups.CheckPath(f.Root, p); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.groups[p]; !ok {
		return fmt.Errorf("read cgroup %s: %w", p, fs.ErrNotExist)
	}
	return ctx.Err()
}

// Stats counts the members; nothing else is used.
func (f *Fake) Stats(ctx context.Context, p string) (cgroups.Stats, error) {
	if err := f.look(ctx, p); err != nil {
		return cgroups.Stats{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := cgroups.Stats{Time: time.Now()}
	if m := *f.groups[p].Memory; m > 0 {
		s.MemoryLimit = uint64(m)
	}
	for _, g := range f.below(p) {
		s.Pids += uint64(len(f.members[g]))
	}
	return s, nil
}

// List returns the cgroups right below p, sorted.
func (f *Fake) List(ctx context.Context, p string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for g := range f.groups {
		if path.Dir(g) == p {
			list = append(list, g)
		}
	}
	slices.Sort(list)
	return list, ctx.Err()
}

// Paths returns all cgroups that exist, sorted.
func (f *Fake) Paths() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.groups))
}

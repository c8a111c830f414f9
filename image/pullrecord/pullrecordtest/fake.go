// Package pullrecordtest has a store of pull records in memory, [Fake], and the
// suite that every store passes, [Run].
package pullrecordtest

import (
	"maps"
	"slices"
	"sync"

	"github.com/lifepod/lifepod/image/pullrecord"
)

// Fake keeps records in memory. Its zero value is empty and ready; it is safe for
// concurrent use.
type Fake struct {
	mu         sync.Mutex
	err        error
	pulling    map[string]int // pulls under way, by image
	unfinished map[string]bool
	records    map[string]pullrecord.Record
}

var _ pullrecord.Store = (*Fake)(nil)

// Abandon leaves an intent as a process does that dies in its pull.
func (f *Fake) Abandon(image string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unfinished == nil {
		f.unfinished = map[string]bool{}
	}
	f.unfinished[image] = true
}

// Fail makes every call from now on end with err; nil mends it.
func (f *Fake) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// Begin implements [pullrecord.Intents].
func (f *Fake) Begin(image string) (end func() error, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	if f.pulling == nil {
		f.pulling = map[string]int{}
	}
	f.pulling[image]++
	return sync.OnceValue(func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.pulling[image]--; f.pulling[image] == 0 {
			delete(f.pulling, image)
			delete(f.unfinished, image)
		}
		return f.err
	}), nil
}

// Intended implements [pullrecord.Intents].
func (f *Fake) Intended(image string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	same := func(other string) bool { return pullrecord.Same(image, other) }
	all := slices.Concat(slices.Collect(maps.Keys(f.pulling)), slices.Collect(maps.Keys(f.unfinished)))
	return slices.ContainsFunc(all, same), f.err
}

// Unfinished implements [pullrecord.Intents].
func (f *Fake) Unfinished() ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var images []string
	for image := range f.unfinished {
		if f.pulling[image] == 0 {
			images = append(images, image)
		}
	}
	return images, f.err
}

// Get implements [pullrecord.Records].
func (f *Fake) Get(ref string) (*pullrecord.Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.get(ref), f.err
}

func (f *Fake) get(ref string) *pullrecord.Record {
	r, ok := f.records[ref]
	if !ok {
		return nil
	}
	return &r
}

// Update implements [pullrecord.Records].
func (f *Fake) Update(ref string, change func(old *pullrecord.Record) *pullrecord.Record) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	next := change(f.get(ref))
	if next == nil {
		delete(f.records, ref)
		return nil
	}
	if f.records == nil {
		f.records = map[string]pullrecord.Record{}
	}
	f.records[ref] = *next
	return nil
}

// Refs implements [pullrecord.Records].
func (f *Fake) Refs() ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.records)), f.err
}

package pullrecordtest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifepod/lifepod/image/pullrecord"
)

// Subject is a store under test.
type Subject struct {
	pullrecord.Store
	// Abandon leaves an intent as a process does that dies in its pull.
	Abandon func(t *testing.T, image string)
}

// Run runs the suite against fresh subjects.
func Run(t *testing.T, fresh func(t *testing.T) Subject) {
	for name, f := range map[string]func(*testing.T, Subject){
		"an empty store knows nothing":               empty,
		"an intent goes with its last pull":          lastPull,
		"an intent counts in every spelling":         spellings,
		"what nobody finished is found":              abandoned,
		"a record is what was written":               written,
		"a record is changed by one at a time":       oneAtATime,
		"pulls of one image side by side":            sideBySide,
		"a change can look and leave":                leave,
		"a store tells no more than it was told":     strangers,
		"an intent is there until the record is":     handOver,
		"a record of many secrets and long names":    large,
		"an unfinished pull that is done again goes": again,
	} {
		t.Run(name, func(t *testing.T) { f(t, fresh(t)) })
	}
}

var then = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func record(ref string) *pullrecord.Record {
	return &pullrecord.Record{LastUpdated: then, ImageRef: ref, Credentials: map[string]pullrecord.Credentials{
		"example/app": {Secrets: []pullrecord.Secret{{UID: "u", Namespace: "n", Name: "s", Hash: "h"}}},
		"example/all": {Everyone: true},
		"example/who": {ServiceAccounts: []pullrecord.ServiceAccount{{UID: "u", Namespace: "n", Name: "a"}}},
	}}
}

func (s Subject) put(t *testing.T, r *pullrecord.Record) {
	t.Helper()
	if err := s.Update(r.ImageRef, func(*pullrecord.Record) *pullrecord.Record { return r }); err != nil {
		t.Fatal(err)
	}
}

func (s Subject) begin(t *testing.T, image string) (end func()) {
	t.Helper()
	stop, err := s.Begin(image)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

func (s Subject) intends(t *testing.T, image string, want bool) {
	t.Helper()
	if got, err := s.Intended(image); got != want || err != nil {
		t.Errorf("%s is about to be pulled: %v, %v; want %v", image, got, err, want)
	}
}

func (s Subject) left(t *testing.T, want ...string) {
	t.Helper()
	got, err := s.Unfinished()
	slices.Sort(got)
	if !slices.Equal(got, want) || err != nil {
		t.Errorf("unfinished: %q, %v; want %q", got, err, want)
	}
}

func (s Subject) has(t *testing.T, ref string, want *pullrecord.Record) {
	t.Helper()
	if got, err := s.Get(ref); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("record of %s: %+v, %v; want %+v", ref, got, err, want)
	}
}

func empty(t *testing.T, s Subject) {
	s.intends(t, "example/app:1", false)
	s.left(t)
	s.has(t, "sha256:1", nil)
	if refs, err := s.Refs(); len(refs) > 0 || err != nil {
		t.Errorf("refs: %q, %v", refs, err)
	}
	if err := s.Update("sha256:1", func(old *pullrecord.Record) *pullrecord.Record {
		if old != nil {
			t.Errorf("a record of nothing: %+v", old)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func lastPull(t *testing.T, s Subject) {
	first, second := s.begin(t, "example/app:1"), s.begin(t, "example/app:1")
	s.left(t)
	first()
	first() // again: nothing
	s.intends(t, "example/app:1", true)
	second()
	s.intends(t, "example/app:1", false)
	s.begin(t, "example/app:1")()
	s.intends(t, "example/app:1", false)
}

func spellings(t *testing.T, s Subject) {
	end := s.begin(t, "app")
	for _, same := range []string{"app", "app:latest", "library/app", "docker.io/library/app:latest", "index.docker.io/library/app"} {
		s.intends(t, same, true)
	}
	for _, other := range []string{"app:1", "example/app", "UPPER", ""} {
		s.intends(t, other, false)
	}
	end()
	s.intends(t, "docker.io/library/app", false)
}

func abandoned(t *testing.T, s Subject) {
	s.Abandon(t, "example/a:1")
	s.Abandon(t, "example/b:1")
	end := s.begin(t, "example/c:1")
	s.left(t, "example/a:1", "example/b:1")
	s.intends(t, "example/a:1", true)
	end()
	s.left(t, "example/a:1", "example/b:1")
}

func again(t *testing.T, s Subject) {
	s.Abandon(t, "example/a:1")
	end := s.begin(t, "example/a:1")
	s.left(t) // somebody carries on
	s.intends(t, "example/a:1", true)
	end()
	s.intends(t, "example/a:1", false)
	s.left(t)
}

func written(t *testing.T, s Subject) {
	r := record("sha256:1")
	s.put(t, r)
	s.has(t, "sha256:1", record("sha256:1"))
	s.has(t, "sha256:2", nil)
	bare := &pullrecord.Record{LastUpdated: then, ImageRef: "sha256:2"}
	s.put(t, bare)
	s.has(t, "sha256:2", bare)
	refs, err := s.Refs()
	if slices.Sort(refs); err != nil || !slices.Equal(refs, []string{"sha256:1", "sha256:2"}) {
		t.Errorf("refs %q, %v", refs, err)
	}
	if err := s.Update("sha256:1", func(*pullrecord.Record) *pullrecord.Record { return nil }); err != nil {
		t.Fatal(err)
	}
	s.has(t, "sha256:1", nil)
	s.has(t, "sha256:2", bare)
}

func leave(t *testing.T, s Subject) {
	s.put(t, record("sha256:1"))
	if err := s.Update("sha256:1", func(old *pullrecord.Record) *pullrecord.Record { return old }); err != nil {
		t.Fatal(err)
	}
	s.has(t, "sha256:1", record("sha256:1"))
}

func strangers(t *testing.T, s Subject) {
	odd := "../../../etc/passwd\x00 " + strings.Repeat("long", 1000)
	s.begin(t, odd)()
	r := &pullrecord.Record{LastUpdated: then, ImageRef: odd}
	s.put(t, r)
	s.has(t, odd, r)
}

// oneAtATime counts with a record: a change that is lost would be missing.
func oneAtATime(t *testing.T, s Subject) {
	const each = 20
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range each {
				with := &pullrecord.Credentials{Secrets: []pullrecord.Secret{{UID: fmt.Sprint(g), Name: fmt.Sprint(i)}}}
				if err := s.Update("sha256:1", func(old *pullrecord.Record) *pullrecord.Record {
					next, err := pullrecord.Merge(old, "sha256:1", "example/app:1", with, then)
					if err != nil {
						t.Error(err)
					}
					return next
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	r, err := s.Get("sha256:1")
	if err != nil || r == nil || len(r.Credentials["example/app"].Secrets) != 4*each {
		t.Errorf("%+v, %v: not all of %d changes", r, err, 4*each)
	}
}

func sideBySide(t *testing.T, s Subject) {
	last := s.begin(t, "example/app:1")
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			end, err := s.Begin("example/app:1")
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := s.Intended("example/app:1"); !got || err != nil {
				t.Errorf("not intended while it is pulled: %v", err)
			}
			if err := end(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s.intends(t, "example/app:1", true)
	last()
	s.intends(t, "example/app:1", false)
}

// handOver: whoever asks for the intent first and then for the record finds one of
// them, at any moment of a pull that has begun.
func handOver(t *testing.T, s Subject) {
	end := s.begin(t, "example/app:1")
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				intended, err := s.Intended("example/app:1")
				r, rerr := s.Get("sha256:1")
				if err != nil || rerr != nil || !intended && r == nil {
					t.Errorf("neither intent nor record: %v, %v", err, rerr)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	s.put(t, record("sha256:1"))
	end()
	s.intends(t, "example/app:1", false)
	close(stop)
	wg.Wait()
}

func large(t *testing.T, s Subject) {
	r := &pullrecord.Record{LastUpdated: then, ImageRef: "sha256:1", Credentials: map[string]pullrecord.Credentials{}}
	for i := range 50 {
		var c pullrecord.Credentials
		for j := range 50 {
			c.Secrets = append(c.Secrets, pullrecord.Secret{UID: fmt.Sprint(j), Name: strings.Repeat("n", 200), Hash: strings.Repeat("h", 64)})
		}
		r.Credentials[fmt.Sprintf("example/%d", i)] = c
	}
	s.put(t, r)
	s.has(t, "sha256:1", r)
}

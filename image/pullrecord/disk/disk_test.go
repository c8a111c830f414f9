package disk

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lifepod/lifepod/image/pullrecord"
	"github.com/lifepod/lifepod/image/pullrecord/pullrecordtest"
	"github.com/lifepod/lifepod/internal/testutil"
)

func fresh(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Store) abandon(t *testing.T, image string) {
	t.Helper()
	b, err := pullrecord.EncodeIntent(image)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s.intent(image), string(b))
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSuite(t *testing.T) {
	for name, o := range map[string]Options{"synced": {}, "not synced": {NoSync: true}} {
		t.Run(name, func(t *testing.T) {
			pullrecordtest.Run(t, func(t *testing.T) pullrecordtest.Subject {
				testutil.CheckLeaks(t, testutil.Scope{}) // of descriptors
				s := fresh(t, o)
				return pullrecordtest.Subject{Store: s, Abandon: s.abandon}
			})
		})
	}
}

// Two that have the same directory open are one store.
func TestSuiteOfTwo(t *testing.T) {
	pullrecordtest.Run(t, func(t *testing.T) pullrecordtest.Subject {
		a := fresh(t, Options{NoSync: true})
		b, err := Open(filepath.Dir(a.dir), Options{NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		return pullrecordtest.Subject{Store: two{a, b}, Abandon: a.abandon}
	})
}

// two writes to one and reads from the other.
type two struct{ w, r *Store }

func (s two) Begin(image string) (func() error, error)   { return s.w.Begin(image) }
func (s two) Intended(image string) (bool, error)        { return s.r.Intended(image) }
func (s two) Unfinished() ([]string, error)              { return s.r.Unfinished() }
func (s two) Get(ref string) (*pullrecord.Record, error) { return s.r.Get(ref) }
func (s two) Refs() ([]string, error)                    { return s.r.Refs() }
func (s two) Update(ref string, f func(*pullrecord.Record) *pullrecord.Record) error {
	return s.w.Update(ref, f)
}

// The files are where the kubelet has them, and hold what it writes.
func TestFilesAreTheKubelets(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	end, err := s.Begin("docker.io/testing/test:latest")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = end() }()
	r := pullrecord.Record{
		LastUpdated: time.Date(2024, 10, 21, 14, 26, 40, 5, time.FixedZone("", 7200)), ImageRef: "testimageref",
		Credentials: map[string]pullrecord.Credentials{"docker.io/testing/test": {Secrets: []pullrecord.Secret{
			{UID: "testsecretuid", Namespace: "default", Name: "pull-secret", Hash: "testsecrethash"},
		}}},
	}
	if err := s.Update(r.ImageRef, func(*pullrecord.Record) *pullrecord.Record { return &r }); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"pulling/sha256-aef2af226629a35d5f3ef0fdbb29fdbebf038d0acd8850590e8c48e1e283aa56": `{"kind":"ImagePullIntent","apiVersion":"kubelet.config.k8s.io/v1beta1","image":"docker.io/testing/test:latest"}` + "\n",
		"pulled/sha256-b3c0cc4278800b03a308ceb2611161430df571ca733122f0a40ac8b9792a9064":  `{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":"2024-10-21T12:26:40Z","imageRef":"testimageref","credentialMapping":{"docker.io/testing/test":{"kubernetesSecrets":[{"uid":"testsecretuid","namespace":"default","name":"pull-secret","credentialHash":"testsecrethash"}]}}}` + "\n",
	} {
		path := filepath.Join(dir, "image_manager", file)
		if b, err := os.ReadFile(path); string(b) != want {
			t.Errorf("%s: %q, %v", file, b, err)
		}
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, fi, err)
		}
	}
}

// A damaged record makes pods ask; the next pull sets it aside, and until then it
// keeps its place: without it the image would be everyone's.
func TestDamagedRecord(t *testing.T) {
	for name, text := range map[string]string{
		"empty":        "",
		"cut":          `{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUp`,
		"another's":    `{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":null,"imageRef":"other"}`,
		"another kind": `{"kind":"ImagePullIntent","apiVersion":"kubelet.config.k8s.io/v1beta1","image":"x"}`,
		"too large":    strings.Repeat(" ", pullrecord.MaxSize+1),
	} {
		t.Run(name, func(t *testing.T) {
			s := fresh(t, Options{NoSync: true})
			put(t, s.record("ref"), text)
			if r, err := s.Get("ref"); r != nil || !errors.Is(err, pullrecord.ErrDamaged) || !strings.Contains(err.Error(), s.record("ref")) {
				t.Fatalf("%+v, %v", r, err)
			}
			err := s.Update("ref", func(old *pullrecord.Record) *pullrecord.Record {
				if old == nil || old.ImageRef != "ref" || old.Credentials != nil {
					t.Errorf("old %+v", old)
				}
				return old
			})
			if err != nil {
				t.Fatal(err)
			}
			if r, err := s.Get("ref"); r == nil || err != nil {
				t.Errorf("after it: %+v, %v", r, err)
			}
			b, err := os.ReadFile(filepath.Join(s.dir, "damaged", pullrecord.FileName("ref")))
			if err != nil || !strings.HasPrefix(string(b), text[:min(len(text), 100)]) {
				t.Errorf("set aside: %.100q, %v", b, err)
			}
		})
	}
}

func TestDamagedAmongOthers(t *testing.T) {
	s := fresh(t, Options{NoSync: true})
	for _, ref := range []string{"a", "b"} {
		if err := s.Update(ref, func(*pullrecord.Record) *pullrecord.Record { return &pullrecord.Record{ImageRef: ref} }); err != nil {
			t.Fatal(err)
		}
	}
	put(t, s.record("a"), "damage")
	put(t, filepath.Join(s.pulled(), "README"), "not a record")
	put(t, s.record("c")+".tmp", "half a record of the kubelet's")
	if refs, err := s.Refs(); len(refs) != 1 || refs[0] != "b" || !errors.Is(err, pullrecord.ErrDamaged) {
		t.Errorf("%q, %v", refs, err)
	}
}

// A damaged intent stands for the image that its file is named after.
func TestDamagedIntent(t *testing.T) {
	s := fresh(t, Options{NoSync: true})
	put(t, s.intent("example/a:1"), "damage")
	s.abandon(t, "example/b:1")
	for image, want := range map[string]bool{"example/a:1": true, "example/b:1": true, "example/c:1": false} {
		if got, err := s.Intended(image); got != want || err != nil {
			t.Errorf("%s: %v, %v", image, got, err)
		}
	}
	left, err := s.Unfinished()
	if len(left) != 1 || left[0] != "example/b:1" || !errors.Is(err, pullrecord.ErrDamaged) {
		t.Errorf("%q, %v", left, err)
	}
	end, err := s.Begin("example/a:1")
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(s.intent("example/a:1")); !intends(b, "example/a:1") {
		t.Errorf("it was not written anew: %q", b)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Intended("example/a:1"); got || err != nil {
		t.Errorf("after the pull: %v, %v", got, err)
	}
}

// Whoever began before the file was replaced takes nothing of the other's back.
func TestReplacedIntent(t *testing.T) {
	s := fresh(t, Options{NoSync: true})
	first, err := s.Begin("x")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(s.intent("x")); err != nil {
		t.Fatal(err)
	}
	second, err := s.Begin("x")
	if err != nil {
		t.Fatal(err)
	}
	if err := first(); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Intended("x"); !got || err != nil {
		t.Errorf("the second pull's intent: %v, %v", got, err)
	}
	if err := second(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenSaysWhy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	put(t, file, "")
	if _, err := Open(file, Options{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Error(err)
	}
}

package imagetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/remote"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Store is what the suite asks of a store of images.
type Store interface {
	Pull(ctx context.Context, name string, o image.PullOptions) (image.Image, error)
	Get(ctx context.Context, name string) (image.Image, error)
	List(ctx context.Context) ([]image.Image, error)
	Tag(ctx context.Context, name, tag string) error
	Remove(ctx context.Context, name string) error
	Prepare(ctx context.Context, key string, id digest.Digest) ([]image.Mount, error)
	RemoveSnapshot(ctx context.Context, key string) error
	Snapshots(ctx context.Context) (map[string]digest.Digest, error)
}

// Subject is a store under test and a way to publish images to it.
type Subject struct {
	Store
	// Publish makes img to be had under repository "repo:tag" and returns the
	// name to pull it by.
	Publish func(t *testing.T, name string, img Image) string
}

// Run runs the suite against fresh subjects, which clean up after themselves.
func Run(t *testing.T, fresh func(t *testing.T) Subject) {
	for name, f := range map[string]func(*testing.T, Subject){
		"an empty store holds nothing":                   empty,
		"a pulled image is found by all its names":       names,
		"a pull that fails leaves nothing":               failed,
		"a moved tag leaves the old image its digest":    moved,
		"a tag goes alone while there are others":        removeTag,
		"an ID goes with all its names":                  removeID,
		"a snapshot is made once and outlives its image": snapshots,
		"bad names and keys are refused":                 refused,
	} {
		t.Run(name, func(t *testing.T) { f(t, fresh(t)) })
	}
}

func small(text string) Image {
	return Image{
		Layers: []Layer{{Files: []File{{Name: "bin/"}, {Name: "text", Data: []byte(text)}}}, Program("/bin/x", []byte("x"+text))},
		Config: ocispec.Image{Config: ocispec.ImageConfig{Entrypoint: []string{"/bin/x"}, Env: []string{"A=b"}, User: "7"}},
	}
}

func (s Subject) pull(t *testing.T, name string) image.Image {
	t.Helper()
	img, err := s.Pull(t.Context(), name, image.PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func wantNotFound(t *testing.T, s Subject, name string) {
	t.Helper()
	if img, err := s.Get(t.Context(), name); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("Get(%s) = %v, %v; want ErrNotFound", name, img.ID, err)
	}
}

func count(t *testing.T, s Subject, n int) {
	t.Helper()
	if list, err := s.List(t.Context()); err != nil || len(list) != n {
		t.Errorf("the store lists %d images, want %d: %v", len(list), n, err)
	}
}

func empty(t *testing.T, s Subject) {
	count(t, s, 0)
	wantNotFound(t, s, "busybox")
	wantNotFound(t, s, "sha256:"+strings.Repeat("0", 64))
	if err := errors.Join(s.Remove(t.Context(), "busybox"), s.RemoveSnapshot(t.Context(), "none")); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
	if _, err := s.Prepare(t.Context(), "k", digest.FromString("none")); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("preparing what is not there: %v", err)
	}
}

func names(t *testing.T, s Subject) {
	name := s.Publish(t, "a/b:v1", small("1"))
	img := s.pull(t, name)
	if len(img.Tags) != 1 || img.Tags[0] != name || len(img.Digests) != 1 || len(img.ChainIDs) != 2 || img.Size <= 0 {
		t.Errorf("pulled %+v", img)
	}
	if c := img.Config.Config; !slices.Equal(c.Entrypoint, []string{"/bin/x"}) || c.User != "7" || !slices.Equal(c.Env, []string{"A=b"}) {
		t.Errorf("config %+v", c)
	}
	for _, n := range []string{name, img.ID.String(), img.ID.Encoded(), img.ID.Encoded()[:12], img.Digests[0]} {
		if got, err := s.Get(t.Context(), n); err != nil || got.ID != img.ID {
			t.Errorf("Get(%s) = %s, %v", n, got.ID, err)
		}
	}
	again := s.pull(t, name)
	byDigest := s.pull(t, img.Digests[0])
	if again.ID != img.ID || byDigest.ID != img.ID {
		t.Errorf("pulled again: %s, %s, want %s", again.ID, byDigest.ID, img.ID)
	}
	count(t, s, 1)
}

func failed(t *testing.T, s Subject) {
	name := strings.Replace(s.Publish(t, "a/b:v1", small("1")), ":v1", ":v2", 1)
	_, err := s.Pull(t.Context(), name, image.PullOptions{})
	if !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("pulling what the registry does not have: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Pull(ctx, strings.Replace(name, ":v2", ":v1", 1), image.PullOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled pull: %v", err)
	}
	count(t, s, 0)
}

func moved(t *testing.T, s Subject) {
	name := s.Publish(t, "a/b:v1", small("1"))
	first := s.pull(t, name)
	s.Publish(t, "a/b:v1", small("2"))
	second := s.pull(t, name)
	if second.ID == first.ID {
		t.Fatal("the tag did not move")
	}
	old, err := s.Get(t.Context(), first.ID.String())
	if err != nil || len(old.Tags) != 0 || len(old.Digests) != 1 {
		t.Errorf("the old image: %+v, %v", old, err)
	}
	if got, err := s.Get(t.Context(), name); err != nil || got.ID != second.ID {
		t.Errorf("the tag means %s, %v", got.ID, err)
	}
}

func removeTag(t *testing.T, s Subject) {
	name := s.Publish(t, "a/b:v1", small("1"))
	img := s.pull(t, name)
	if err := s.Tag(t.Context(), name, "example.com/other:t"); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	wantNotFound(t, s, name)
	if got, err := s.Get(t.Context(), "example.com/other:t"); err != nil || got.ID != img.ID || len(got.Tags) != 1 {
		t.Errorf("the other tag: %+v, %v", got, err)
	}
	if err := s.Remove(t.Context(), "example.com/other:t"); err != nil {
		t.Fatal(err)
	}
	wantNotFound(t, s, img.ID.String())
	count(t, s, 0)
}

func removeID(t *testing.T, s Subject) {
	name := s.Publish(t, "a/b:v1", small("1"))
	keep := s.pull(t, s.Publish(t, "keep:v1", small("2")))
	img := s.pull(t, name)
	if err := s.Tag(t.Context(), name, "other"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Remove(t.Context(), img.ID.String()), s.Remove(t.Context(), img.ID.String())); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{name, "other:latest", img.ID.String(), img.Digests[0]} {
		wantNotFound(t, s, n)
	}
	if _, err := s.Get(t.Context(), keep.ID.String()); err != nil {
		t.Errorf("another image went, too: %v", err)
	}
}

func snapshots(t *testing.T, s Subject) {
	img := s.pull(t, s.Publish(t, "a/b:v1", small("1")))
	other := s.pull(t, s.Publish(t, "c:v1", small("2")))
	first, err := s.Prepare(t.Context(), "key-1", img.ID)
	if err != nil || len(first) == 0 {
		t.Fatalf("%v %v", first, err)
	}
	again, err := s.Prepare(t.Context(), "key-1", img.ID)
	if err != nil || len(again) != len(first) || again[0].Source != first[0].Source || !slices.Equal(again[0].Options, first[0].Options) {
		t.Errorf("the same key: %v, %v; first %v", again, err, first)
	}
	if _, err := s.Prepare(t.Context(), "key-1", other.ID); !errors.Is(err, image.ErrExists) {
		t.Errorf("a key that is taken: %v", err)
	}
	if err := s.Remove(t.Context(), img.ID.String()); err != nil {
		t.Fatal(err)
	}
	if again, err := s.Prepare(t.Context(), "key-1", img.ID); err != nil || len(again) != len(first) {
		t.Errorf("the image went, and the key with it: %v, %v", again, err)
	}
	if keys, err := s.Snapshots(t.Context()); err != nil || len(keys) != 1 || keys["key-1"] != img.ID {
		t.Errorf("keys %v, %v", keys, err)
	}
	if err := errors.Join(s.RemoveSnapshot(t.Context(), "key-1"), s.RemoveSnapshot(t.Context(), "key-1")); err != nil {
		t.Fatal(err)
	}
	if keys, err := s.Snapshots(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("keys %v, %v", keys, err)
	}
	if _, err := s.Prepare(t.Context(), "key-1", img.ID); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("preparing a removed image: %v", err)
	}
}

func refused(t *testing.T, s Subject) {
	var r interface {
		error
		Reason() string
	}
	for _, bad := range []string{"", "UPPER", "a b", "a:b:c", "-x", "a/b@sha256:123"} {
		_, err := s.Pull(t.Context(), bad, image.PullOptions{})
		if !errors.As(err, &r) || r.Reason() != image.ReasonInvalidName {
			t.Errorf("Pull(%q) = %v, want InvalidImageName", bad, err)
		}
	}
	img := s.pull(t, s.Publish(t, "a/b:v1", small("1")))
	for _, bad := range []string{"", ".", "..", "a/b", "../x", strings.Repeat("k", 200)} {
		if _, err := s.Prepare(t.Context(), bad, img.ID); err == nil {
			t.Errorf("Prepare(%q) went well", bad)
		}
	}
	if err := s.Tag(t.Context(), img.ID.String(), "a/b@"+img.ID.String()); err == nil {
		t.Error("a digest as a tag went well")
	}
}

package image_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// exported opens the image name, which a registry serves, out of a store.
func exported(t *testing.T, add func(reg *imagetest.Registry) error) *image.Export {
	t.Helper()
	s, reg, host := open(t, image.Options{})
	if err := add(reg); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	e, err := s.Export(t.Context(), host+"/a:1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func TestLoadFromAnotherStore(t *testing.T) {
	foreign := imagetest.Random(2, 1, 10)
	foreign.Config.Architecture, foreign.Config.OS = "s390x", "linux"
	for name, add := range map[string]func(*imagetest.Registry) error{
		"manifest": func(reg *imagetest.Registry) error {
			_, err := reg.Add("a:1", imagetest.Random(1, 3, 1000))
			return err
		},
		"index": func(reg *imagetest.Registry) error {
			_, err := reg.AddIndex("a:1", foreign, imagetest.Random(1, 3, 1000))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := exported(t, add)
			s, _, _ := open(t, image.Options{})
			digested := "example.com/x@" + e.Top.Digest.String()
			img, err := s.Load(t.Context(), e, e.Top, []string{"example.com/x:1", "y", digested}, image.LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(img.Tags, []string{"docker.io/library/y:latest", "example.com/x:1"}) || !slices.Equal(img.Digests, []string{digested}) {
				t.Errorf("names %v %v", img.Tags, img.Digests)
			}
			again, err := s.Export(t.Context(), "y")
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if again.Top.Digest != e.Top.Digest || again.Manifest.Digest != e.Manifest.Digest || again.Top.MediaType != e.Top.MediaType {
				t.Errorf("got %v %v, want %v %v", again.Top, again.Manifest, e.Top, e.Manifest)
			}
			if wrong, err := s.Check(t.Context()); err != nil || len(wrong) > 0 {
				t.Errorf("%v %v", wrong, err)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	e := exported(t, func(reg *imagetest.Registry) error {
		_, err := reg.Add("a:1", imagetest.Random(1, 2, 1000))
		return err
	})
	const name = "example.com/x:1"
	truncated := image.SourceFunc(func(ctx context.Context, d ocispec.Descriptor, w io.Writer) error {
		return e.Blob(ctx, d, &short{w, d.Size - 1})
	})
	absent := image.SourceFunc(func(context.Context, ocispec.Descriptor, io.Writer) error { return image.ErrNotFound })
	other := e.Top
	other.Digest = e.Manifest.Digest.Algorithm().FromString("other")
	for rule, c := range map[string]struct {
		src   image.Source
		d     ocispec.Descriptor
		names []string
		want  string
	}{
		"no name":               {e, e.Top, nil, "a name is needed"},
		"a bad name":            {e, e.Top, []string{"a b"}, "couldn't parse image name"},
		"another digest":        {e, e.Top, []string{"x@" + other.Digest.String()}, "either a tag or the digest"},
		"tag and digest":        {e, e.Top, []string{"x:1@" + e.Top.Digest.String()}, "either a tag or the digest"},
		"nothing there":         {absent, e.Top, []string{name}, "not found"},
		"other content":         {e, other, []string{name}, "not found"},
		"no digest":             {e, ocispec.Descriptor{}, []string{name}, "digest"},
		"a blob is short":       {truncated, e.Top, []string{name}, "digest mismatch"},
		"the size is not right": {e, ocispec.Descriptor{Digest: e.Top.Digest, Size: 3}, []string{name}, "expected 3 bytes"},
	} {
		t.Run(rule, func(t *testing.T) {
			s, _, _ := open(t, image.Options{})
			_, err := s.Load(t.Context(), c.src, c.d, c.names, image.LoadOptions{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			checkEmpty(t, s)
		})
	}
}

// short drops what comes after n bytes.
type short struct {
	w io.Writer
	n int64
}

func (s *short) Write(p []byte) (int, error) {
	k := min(int64(len(p)), s.n)
	s.n -= k
	_, err := s.w.Write(p[:k])
	return len(p), err
}

func TestLoadIsVerified(t *testing.T) {
	e := exported(t, func(reg *imagetest.Registry) error {
		_, err := reg.Add("a:1", imagetest.Random(1, 2, 1000))
		return err
	})
	s, _, _ := open(t, image.Options{})
	_, err := s.Load(t.Context(), e, e.Top, []string{"x"}, image.LoadOptions{Verify: image.VerifierFunc(func(_ context.Context, m image.Manifest) error {
		if m.Name != "docker.io/library/x:latest" || m.Digest != e.Top.Digest.String() {
			t.Errorf("asked about %s %s", m.Name, m.Digest)
		}
		return errors.New("not this one")
	})})
	if reason(err) != image.ReasonSignature {
		t.Error(err)
	}
	checkEmpty(t, s)
}

// An exported image can be read to its end whatever happens to its names, and
// what is exported is verified.
func TestExportHolds(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	if _, err := reg.Add("a:1", imagetest.Random(1, 2, 1000)); err != nil {
		t.Fatal(err)
	}
	img, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.Export(t.Context(), img.ID.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), img.ID.String()); err != nil {
		t.Fatal(err)
	}
	if err := e.Blob(t.Context(), e.Manifest, io.Discard); err != nil {
		t.Error(err)
	}
	if err := errors.Join(e.Close(), e.Close(), s.Collect(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := e.Blob(t.Context(), e.Manifest, io.Discard); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := s.Export(t.Context(), img.ID.String()); !errors.Is(err, image.ErrNotFound) {
		t.Error(err)
	}
}

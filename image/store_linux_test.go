package image_test

import (
	"testing"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/internal/testutil"
)

// open opens a store in a directory of the test, with a registry beside it.
func open(t testing.TB, o image.Options) (*image.Store, *imagetest.Registry, string) {
	t.Helper()
	testutil.RequireRoot(t)
	return openAs(t, o)
}

// openAs is open for whoever runs it.
func openAs(t testing.TB, o image.Options) (*image.Store, *imagetest.Registry, string) {
	t.Helper()
	dir := t.TempDir()
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{dir}})
	reg := &imagetest.Registry{}
	host, stop, err := reg.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	o.NoSync = true
	s, err := image.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, reg, host
}

func TestStore(t *testing.T) {
	imagetest.Run(t, func(t *testing.T) imagetest.Subject {
		s, reg, host := open(t, image.Options{})
		return imagetest.Subject{Store: s, Publish: func(t *testing.T, name string, img imagetest.Image) string {
			if _, err := reg.Add(name, img); err != nil {
				t.Fatal(err)
			}
			return host + "/" + name
		}}
	})
}

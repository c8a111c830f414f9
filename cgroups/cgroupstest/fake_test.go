package cgroupstest

import (
	"errors"
	"testing"

	"github.com/lifepod/lifepod/cgroups"
)

func TestFake(t *testing.T) {
	Run(t, func(t *testing.T) Impl {
		f := &Fake{Root: "/test"}
		return Impl{Manager: f, Root: "/test", Join: func(t *testing.T, path string) func() bool {
			done, err := f.Join(path)
			must(t, err)
			return func() bool {
				select {
				case <-done:
					return false
				default:
					return true
				}
			}
		}}
	})
}

func TestFakeFailsWhenTold(t *testing.T) {
	boom := errors.New("boom")
	f := &Fake{Fail: func(method, path string) error {
		if method == "ensure" && path == "/a" {
			return boom
		}
		return nil
	}}
	if err := f.Ensure(t.Context(), "/a", cgroups.Values{}); !errors.Is(err, boom) {
		t.Error(err)
	}
	must(t, f.Ensure(t.Context(), "/b", cgroups.Values{}))
	if got := f.Paths(); len(got) != 1 || got[0] != "/b" {
		t.Error(got)
	}
}

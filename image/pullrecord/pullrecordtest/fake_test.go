package pullrecordtest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/lifepod/lifepod/image/pullrecord/pullrecordtest"
)

func TestFake(t *testing.T) {
	pullrecordtest.Run(t, func(*testing.T) pullrecordtest.Subject {
		f := &pullrecordtest.Fake{}
		return pullrecordtest.Subject{Store: f, Abandon: func(_ *testing.T, image string) { f.Abandon(image) }}
	})
}

func TestFakeFails(t *testing.T) {
	broken := errors.New("broken")
	f := &pullrecordtest.Fake{}
	f.Fail(broken)
	_, begun := f.Begin("x")
	_, got := f.Get("x")
	_, intended := f.Intended("x")
	for name, err := range map[string]error{"begin": begun, "get": got, "intended": intended, "update": f.Update("x", nil)} {
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func Example() {
	var store pullrecordtest.Fake
	store.Abandon("example/app:1") // as a process does that dies in its pull
	left, err := store.Unfinished()
	fmt.Println(left, err)
	// Output: [example/app:1] <nil>
}

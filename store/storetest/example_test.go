package storetest_test

import (
	"testing"

	"github.com/lifepod/lifepod/store"
	"github.com/lifepod/lifepod/store/memory"
	"github.com/lifepod/lifepod/store/storetest"
)

func ExampleRun() {
	_ = func(t *testing.T) { // in a file of your own: func TestConformance
		storetest.Run(t, func(*testing.T) store.Store { return new(memory.Store) })
	}
	// Output:
}

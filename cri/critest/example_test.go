package critest_test

import (
	"fmt"
	"testing"

	"github.com/lifepod/lifepod/cri/critest"
)

// A test of one's own runtime hands the suite a way to open it.
func ExampleRun() {
	test := func(t *testing.T) {
		critest.Run(t, func(t *testing.T) critest.Env {
			return critest.Env{Image: "docker.io/library/task:1", Program: "/task"} // and Runtime, Images
		})
	}
	fmt.Printf("%T\n", test)
	// Output: func(*testing.T)
}

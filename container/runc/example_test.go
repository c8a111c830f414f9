package runc_test

import (
	"fmt"

	"github.com/lifepod/lifepod/container/runc"
)

func ExampleOpen() {
	_, err := runc.Open(runc.Options{Root: "relative"})
	fmt.Println(err)
	// Output: runc options: relative must be an absolute path without . and .., and not /
}

package framework_test

import (
	"fmt"

	"github.com/lifepod/lifepod/schedule/framework"
)

func ExampleInverse() {
	scores := []int64{0, 1, 4}
	framework.Inverse(scores)
	fmt.Println(scores)
	// Output: [100 75 0]
}

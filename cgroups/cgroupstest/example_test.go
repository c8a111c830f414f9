package cgroupstest_test

import (
	"context"
	"fmt"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/cgroups/cgroupstest"
)

func ExampleFake() {
	var f cgroupstest.Fake
	ctx := context.Background()
	memory := int64(64 << 20)
	fmt.Println(f.Ensure(ctx, "/kubepods/pod1", cgroups.Values{Memory: &memory}))
	v, err := f.Limits(ctx, "/kubepods/pod1")
	fmt.Println(*v.Memory, err)
	fmt.Println(f.Paths())
	// Output:
	// <nil>
	// 67108864 <nil>
	// [/kubepods /kubepods/pod1]
}

package memory_test

import (
	"context"
	"fmt"

	"github.com/lifepod/lifepod/store"
	"github.com/lifepod/lifepod/store/memory"
)

func Example() {
	ctx := context.Background()
	var s memory.Store
	rev, _ := s.Put(ctx, "color", []byte("red"), store.Absent)
	_, _ = s.Put(ctx, "color", []byte("blue"), rev)
	_, err := s.Put(ctx, "color", []byte("green"), rev)
	fmt.Println(err)
	// Output: put "color" at revision 2: revision conflict: it is at 3
}

package store_test

import (
	"context"
	"fmt"

	"github.com/lifepod/lifepod/store"
	"github.com/lifepod/lifepod/store/memory"
)

// List, then watch from there: nothing is lost in between.
func Example() {
	ctx := context.Background()
	s := new(memory.Store)
	_, _ = s.Put(ctx, "pods/a", []byte("Pending"), store.Absent)

	items, rev, _ := s.List(ctx, "pods/")
	fmt.Println(len(items), "item at revision", rev)

	_, _ = store.Update(ctx, s, "pods/a", func(store.Item) ([]byte, error) { return []byte("Running"), nil })
	for ev, err := range s.Watch(ctx, "pods/", store.WatchOptions{Since: rev}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%v %s: %s, was %s\n", ev.Type, ev.Item.Key, ev.Item.Value, ev.Prev.Value)
		break
	}
	// Output:
	// 1 item at revision 2
	// PUT pods/a: Running, was Pending
}

package pacing_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/lifepod/lifepod/image/pacing"
)

func Example() {
	gate, err := pacing.New(pacing.Limits{Burst: 2}) // else the kubelet's defaults
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		err := gate.Do(context.Background(), func() error { fmt.Println("pulling"); return nil })
		if errors.Is(err, pacing.ErrRate) {
			fmt.Println("put off:", err)
		}
	}
	// Output:
	// pulling
	// pulling
	// put off: pull QPS exceeded
}

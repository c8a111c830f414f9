package local_test

import (
	"os"
	"time"

	"github.com/lifepod/lifepod/lifecycle/local"
)

func ExampleWriteTimeline() {
	t := time.Unix(0, 0)
	at := func(ms int) time.Time { return t.Add(time.Duration(ms) * time.Millisecond) }
	_ = local.WriteTimeline(os.Stdout, []local.Span{
		{Name: "CreateSandbox", Start: at(0), End: at(10)},
		{Name: "StartContainer", Detail: "start/app", Start: at(10), End: at(40)},
	})
	// Output:
	// CreateSandbox                    ████████████                                          10.00 ms
	//   StartContainer start/app                     ████████████████████████████████████      30.00 ms
}

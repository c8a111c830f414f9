package stream_test

import (
	"context"
	"fmt"
	"os"

	"github.com/lifepod/lifepod/cri/stream"
)

// echo is a runtime that answers each exec with its command.
type echo struct{}

func (echo) ExecStream(_ context.Context, _ string, o stream.ExecOptions) (int, error) {
	_, err := fmt.Fprintln(o.Stdout, o.Cmd)
	return 0, err
}

func Example() {
	var runtime any = echo{}
	if e, ok := runtime.(stream.Execer); ok {
		code, err := e.ExecStream(context.Background(), "web", stream.ExecOptions{Cmd: []string{"ls", "/"}, Stdout: os.Stdout})
		fmt.Println(code, err)
	}
	// Output:
	// [ls /]
	// 0 <nil>
}

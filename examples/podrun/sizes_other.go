//go:build !unix

package main

import (
	"context"

	"github.com/lifepod/lifepod/cri/stream"
)

// sizes never tells of a change.
func sizes(context.Context, int) <-chan stream.Size { return nil }

//go:build !linux

package logs

import (
	"context"
	"time"
)

// dirWatch looks again every second where there is no inotify.
type dirWatch struct{}

func watchDir(string) (*dirWatch, error) { return &dirWatch{}, nil }

func (*dirWatch) close() {}

func (*dirWatch) wait(ctx context.Context) {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
}

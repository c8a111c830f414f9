//go:build !unix

package image

import "context"

// fileLock is nothing here: without flock, one process may use a store.
type fileLock struct{}

func (fileLock) unlock() {}

func flock(string, bool) (fileLock, error)              { return fileLock{}, nil }
func tryFlock(string) (fileLock, bool, error)           { return fileLock{}, true, nil }
func flockName(context.Context, string) (func(), error) { return func() {}, nil }

// Package containerd starts a containerd of the caller's own, for tests and
// benchmarks that hold lifepod against it. All its files lie in one directory,
// but for what it and its plugins keep below /run and [Elsewhere], which package
// apart hides.
package containerd

// Package reexec lets a program be executed again as its own supervisor, so that
// one `go build` is enough:
//
//	import _ "github.com/lifepod/lifepod/container/runc/reexec"
//
// It changes nothing in a program that is started by hand. It needs Linux and
// cgo; built without, it explains itself when a container is made. A prebuilt
// lifepod-supervisor beside the program is preferred to this, as it is smaller.
package reexec

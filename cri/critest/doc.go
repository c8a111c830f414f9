// Package critest holds the suite that every CRI runtime must pass that
// lifecycle is to run pods on: what callers of k8s.io/cri-api rely on, among it
// that removing and stopping may be repeated.
//
// Containers of the suite run one program of the image with a little language of
// its own: "sleep" until a signal ends it, "ignore" all but SIGKILL, "exit N",
// "echo TEXT", "flood", and "await" for an exec to wait until the first two handle
// signals. The task in this package's testdata is that program; a fake interprets
// the words.
package critest

// Command peer measures the same pod on lifepod and on containerd, in turn, as
// BENCHMARKS.md keeps it: start (from the request to the first statement of the
// container's main) and removal (until nothing is left). Both run in namespaces
// that it makes and that end with it. It needs root and what hack/peers builds.
package main

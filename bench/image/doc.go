// Command image measures how long a pull takes from a registry on loopback into
// a cold store, until the root is mounted, beside containerd, podman and the
// floor (bench/floor), in turn, as BENCHMARKS.md keeps it. Everything runs in
// namespaces that it makes and that end with it. It needs root, and what
// hack/bench-image builds.
package main

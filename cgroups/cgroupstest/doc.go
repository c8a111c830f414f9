// Package cgroupstest has the conformance suite of cgroup managers and a fake
// that passes it.
package cgroupstest

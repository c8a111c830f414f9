// Package apart runs a program again in network, mount and process namespaces of
// its own, for tests and benchmarks of daemons that leave their traces in fixed
// places: whatever they do ends with the program, and the machine never sees it.
package apart

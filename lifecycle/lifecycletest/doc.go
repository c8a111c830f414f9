// Package lifecycletest runs pods without a machine: a [Runtime] that is a CRI
// runtime in memory, whose containers do what a [Script] says, and [New], a whole
// runner on it. Neither needs root, Linux or cgo, and both work inside a
// testing/synctest bubble, where an hour of a pod's life takes a moment.
package lifecycletest

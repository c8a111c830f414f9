// Package netnstest tests networks, and is one.
//
// [Run] is the suite that every [netns.Network] passes. A network of the kernel
// is tested with a network namespace that plays the host ([NewHost]), so that
// nothing of the real host is touched. [Fake] is a network in memory for tests
// of what uses one; it passes the same suite, but for sending packets.
package netnstest

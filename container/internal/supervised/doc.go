// Package supervised is the set-up that the tests of all runtimes under lifepod's
// supervisor share: a root on the real machine, of which nothing is left at the
// test's end.
package supervised

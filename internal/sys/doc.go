// Package sys is the one door to effects outside the process.
//
// An [Effect] names one kind of effect (a mount, a rename, a fork, a message to
// the supervisor) and is run between two failpoints, one before and one after
// it, so that a test can kill the process at each of them. Declare effects as
// package variables: the list of all effects linked into a program is then
// known without running any.
package sys

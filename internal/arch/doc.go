// Package arch holds the tests that keep the house in order: who may import
// whom, that every package is documented with an Example, what an import costs,
// and that every platform builds.
package arch

// Package containertest has what users of package container need in tests: a
// [Fake] runtime in memory, and [Run], the suite that every implementation
// passes, the fake included.
package containertest

// Package storetest is the conformance suite of store.Store: every implementation
// passes Run. There is no fake: memory.Store is small, real and works from its
// zero value.
package storetest

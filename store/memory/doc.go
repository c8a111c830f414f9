// Package memory is a store.Store in the memory of this process: for one program,
// for tests, and as the model of what the other stores do.
//
// It starts no goroutine. A watcher is a position in one shared history: he is
// woken only by changes under his own prefix, reads at his own pace, and is
// dropped with store.ErrTooOld when the history no longer holds his next change.
package memory

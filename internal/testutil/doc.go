// Package testutil is what lifepod's tests share: tiers that a machine may or
// may not be able to run, and the check that a test left nothing behind.
//
// A tier that cannot run is skipped with its reason. Where the environment
// demands it (LIFEPOD_ROOT_TESTS=1, LIFEPOD_VM_TESTS=1, LIFEPOD_PEER_TESTS=1, as
// CI does), the skip is a failure.
package testutil

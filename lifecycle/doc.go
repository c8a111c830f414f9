// Package lifecycle runs pods: it drives a Kubernetes Pod over any CRI runtime
// from its sandbox to its end.
//
// Every decision is made by lifecycle/plan, a pure function. A [Runner] has one
// goroutine per pod that observes, plans and hands actions to goroutines of
// their own; it plans again at every observation, completion and wake-up. Two
// actions with one key never run at once, actions with different keys do.
//
// Events of the runtime are hints; the truth is a list and the statuses that
// follow it. All that must survive the process lies in two files per pod
// (pod.json and status.json), so that killing the process at any instruction
// loses nothing: the next Runner adopts the pod.
package lifecycle

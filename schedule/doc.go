// Package schedule chooses a node for each pod: it filters the nodes that can
// take it, scores them, and binds the pod to the best, as Kubernetes' scheduler
// does with its default profile.
//
// A decision is a pure function: Profile.Decide takes a Snapshot of the nodes and
// a Pod and says which node, or why none; Profile.Explain says the same with the
// reason, the raw score and the normalised score of every plugin for every node.
// Scheduler is the loop around it: it watches pods and nodes, keeps a queue, and
// binds.
//
// Differences from kube-scheduler: all nodes are looked at, however many there
// are; equal scores are drawn from a source that can be seeded.
//
// Plugins are packages of their own (nodename, tainttoleration, …), each with an
// exported pure function; package framework has what they are made of. This
// package knows the default set.
package schedule

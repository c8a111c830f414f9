// Package podcgroup joins what a Pod says with Kubernetes' cgroup arithmetic:
// the path and limits of a pod's cgroup, of the tiers above it, and the resources
// of its containers. Everything is a pure function of the pod and the node's
// [Options].
package podcgroup

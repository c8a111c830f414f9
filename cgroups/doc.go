// Package cgroups makes, limits, measures and removes the cgroups of pods, on
// cgroup v1, v2 and the mixture of both.
//
// A path is absolute and names the same cgroup in every v1 hierarchy or in the
// unified one: /lifepod-1a2b3c4d/kubepods/burstable/pod<uid>. cgroups/values has
// Kubernetes' formulas and names, as pure functions.
//
// A [Manager] writes the kernel's files itself. The libraries that do so come
// with clients for D-Bus, eBPF and protobuf (8 MB and 1 to 5 ms at start), which
// every importer of this package would pay for; and their removal sleeps between
// tries, where this one waits for the last process to end. Package
// cgroups/containerd is for those who want one of them all the same.
//
// Containers' own cgroups below a pod's are made by whoever starts the
// containers. [Manager.Remove] takes away what they leave.
package cgroups

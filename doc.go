// Package lifepod is the life of a Kubernetes pod as a Go library: from the
// request that creates it to the last byte that it leaves behind.
//
// A program imports the blocks that it needs. Every block stands alone:
//
//   - admission: decode, default, mutate, validate a pod
//   - schedule: filter, score and bind it to a node
//   - image: pull OCI images into a content-addressable store, mount snapshots
//   - cgroups: the QoS tree, limits, statistics; v1 and v2
//   - netns: pinned network namespaces and the networks that join them
//   - volume: every pod volume, written as Kubernetes writes it
//   - container: an OCI spec becomes a supervised process
//   - cri: a CRI runtime made of image, netns, cgroups and container
//   - probe: exec, http, tcp and grpc probes with their thresholds
//   - store: objects with resource versions and watches
//   - pod: what a Pod means, as pure functions
//
// or lifecycle, the runner that drives a pod over any CRI runtime, or
// lifecycle/local, which wires all of them under one root directory into a
// working pod runner: no cluster, no daemon, no Docker.
package lifepod

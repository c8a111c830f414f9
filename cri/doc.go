// Package cri is a CRI runtime in the caller's own process: pods' sandboxes and
// containers out of the blocks image, netns, cgroups and container.
//
// A [Runtime] has the methods of k8s.io/cri-api's RuntimeService and
// ImageManagerService, and with package stream's interfaces it runs, attaches
// and forwards without URLs. Its errors carry gRPC status codes
// (google.golang.org/grpc/status.Code finds them) and unwrap to their causes.
//
// # What it keeps
//
// One directory per sandbox and per container below [Options].Run holds a record
// and the mounts; nothing is remembered elsewhere, and nothing is synced, since
// it all dies with the boot. A Runtime that is made over the directory of
// another, living or dead, sees the same sandboxes and containers. [New] removes
// what a dead one left half made. Several processes may work on one directory;
// for each pod, one at a time.
//
// # What it refuses
//
// A field that is set and cannot be honoured is an InvalidArgument error that
// names it. [Fields] is the whole list of what is honoured, kept and refused.
//
// # What it does not do
//
// It makes no cgroup at or above a sandbox's cgroup_parent, and has no process
// per pod: namespaces are pinned by mounts. Only where containers share the
// pod's PID namespace, a process of one page holds it.
package cri

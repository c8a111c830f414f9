// Package mounts makes a container's mounts in libcontainer's init, before
// libcontainer: by descriptors (fsopen, open_tree, mount_setattr, move_mount), at
// a tenth of the system calls that libcontainer's paths through /proc take.
//
// The supervisor takes from the configuration what is plain, which is all of
// what a pod's container has, hands it to init in a memfd, and leaves libcontainer
// the rest; what is not plain (user namespaces, idmapped mounts, propagation to
// the host, mounts below /proc, a kernel before 5.12) libcontainer makes as ever.
// The container's mount table is the same either way; tests hold them equal.
package mounts

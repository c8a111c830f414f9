// Package ocispec turns CRI messages and an image's config into an OCI runtime
// spec. It is pure: what it must know of the machine and of the root filesystem
// comes in as values, and the same [Input] gives the same spec everywhere.
//
// Where CRI leaves a choice, the result is containerd's: its default mounts,
// capabilities and rules of merging command, environment and groups.
package ocispec

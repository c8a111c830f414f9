// Package treecheck holds the trees that lifepod unpacks against those that
// containerd does, of the same images. It is tests alone.
package treecheck

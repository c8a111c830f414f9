// Package volume makes the volumes of pods ready on a node: emptyDir, hostPath,
// configMap, secret, downwardAPI and projected volumes of these, with
// Kubernetes' layout on disk, modes, ownership and error texts.
//
// A [Manager] sets all volumes of a pod up side by side ([Manager.SetUp]), writes
// new content when an object changed ([Manager.Update]), prepares subPaths, and
// takes everything away again. It keeps nothing in memory: what a pod has lies
// under the pod's directory,
//
//	<dir>/volumes/kubernetes.io~<plugin>/<volume>      the volume
//	<dir>/volume-subpaths/<volume>/<container>/<index>  bind mounts of subPaths
//	<dir>/plugins/kubernetes.io~empty-dir/<volume>      marks of what is ready
//
// so that another process can go on or clean up after a crash. Each volume type
// is a [Plugin].
package volume

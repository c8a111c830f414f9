// Package pod says what a Pod means: pure functions over corev1 that several
// blocks need, and that give what Kubernetes 1.37 gives with its default feature
// gates.
//
// No function changes its arguments, and none keeps them. A result may share
// memory with the pod: copy it before changing it.
package pod

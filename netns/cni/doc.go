// Package cni runs CNI plugins: it joins pods to the network that a conflist
// describes, as containerd does for Kubernetes.
//
// The configuration is the first file by name in ConfDir and is read again at
// every Setup, so a changed file needs no restart. Before an ADD the whole
// configuration is written under CacheDir, and afterwards what it answered;
// CHECK and DEL use these, whatever the file says by then, also after a crash.
//
// A failed ADD is followed by a DEL at once, since plugins leave interfaces and
// addresses behind, and by another at Teardown if that failed too. A plugin's
// answer is checked before it is believed.
//
// Plugins get K8S_POD_NAMESPACE, K8S_POD_NAME, K8S_POD_INFRA_CONTAINER_ID,
// K8S_POD_UID and IgnoreUnknown=1 as arguments, and, where they declare the
// capability, portMappings, bandwidth, ips, dns, cgroupPath and
// io.kubernetes.cri.pod-annotations.
package cni

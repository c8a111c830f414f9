// Package core is store/typed for the kinds of Kubernetes' core group that a
// pod's life needs: pods with their graceful deletion and binding, nodes, config
// maps, secrets, services, service accounts, namespaces and events.
package core

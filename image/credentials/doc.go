// Package credentials picks what to log in to a registry with out of Docker's
// configuration files: dockerconfigjson and dockercfg, as pull secrets hold
// them. It is pure; matching is Kubernetes': hosts may be globs, the longest
// path wins, and several credentials may fit, to be tried in order.
package credentials

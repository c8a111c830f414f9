// Package defaults sets what an object leaves open to what Kubernetes 1.37 sets
// it to. All functions work in place, change nothing on a second run, and never
// fail: what is wrong is for validation to say.
package defaults

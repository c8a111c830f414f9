// Package validation finds what is wrong with an object that is to be created:
// all of it at once, with the field paths, types and texts of Kubernetes 1.37. Its
// functions are pure; they expect defaulted objects and change nothing.
//
// A file per part of the pod; each check appends to a field.ErrorList and knows
// the path that it stands at.
package validation

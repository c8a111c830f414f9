// Package stamped is the pod that the benchmarks start: its program writes down the
// time of its first statement.
package stamped

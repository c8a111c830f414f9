// Package framework is what scheduler plugins are made of: pods and nodes with
// their sums worked out once, and the two interfaces, FilterPlugin and
// ScorePlugin. Everything in it is a value or a pure function.
package framework

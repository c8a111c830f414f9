// Package logs reads the log files that a CRI runtime writes: lines of
// "<RFC 3339 time> <stdout|stderr> <tags> <text>", where the tag P marks a part
// of a longer line and F its end.
package logs

// Package pidfd holds on to processes: opens them so that no other process is
// meant when the number is used again, signals them, and learns how they ended,
// also when they are not our children.
package pidfd

package cgroups

import "fmt"

// MissingControllerError says that the kernel or the machine's setup lacks a
// controller that is needed.
type MissingControllerError struct {
	// Controller is its name, as in "memory".
	Controller string
	// Hint says what to do.
	Hint string
}

func (e *MissingControllerError) Error() string {
	return fmt.Sprintf("cgroup controller %q is missing: %s", e.Controller, e.Hint)
}

// AccessError says that this process may not make cgroups.
type AccessError struct {
	Dir  string
	UID  int
	Read bool // the file system is mounted read-only
}

func (e *AccessError) Error() string {
	if e.Read {
		return fmt.Sprintf("cgroups in %s cannot be made: it is mounted read-only; remount it with mount -o remount,rw", e.Dir)
	}
	return fmt.Sprintf("cgroups in %s cannot be made by uid %d: run as root, or name a cgroup that is delegated to this user (systemd: Delegate=yes)", e.Dir, e.UID)
}

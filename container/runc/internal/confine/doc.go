// Package confine has libcontainer's init put itself under a seccomp filter,
// where libcontainer was built without libseccomp.
//
// The supervisor gives the filter to init in a memfd, its descriptor 3. Init, which
// is our own program too, reads it before libcontainer begins, and listens to what
// libcontainer logs: that happens on the thread that will execute the program, so
// a listener runs at two moments that we need. One is when capabilities are
// about to be dropped: it makes itself known by a capability that does not exist,
// of which libcontainer warns. The other is the last line before the program. Where
// no_new_privs is set the filter is installed at the second moment, else at the
// first, as installing it then needs CAP_SYS_ADMIN: runc with libseccomp does the
// same. Init notes in the memfd that it is confined. A process that has not said
// so is killed by the supervisor, and its start is an error: a libcontainer that
// logs other words cannot let programs out.
//
// The descriptor is closed by the execution of the program.
package confine

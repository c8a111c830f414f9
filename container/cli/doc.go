// Package cli runs containers with a program that speaks the command line of
// OCI runtimes: runc, crun, and what is like them.
//
//	rt, err := cli.Open(cli.Options{Path: "crun", Root: "/var/lib/demo"})
//	…
//	defer rt.Close() // containers go on
//
// The program is called by the supervisor of package container/runc, which is
// the parent of the containers here too: it writes their logs, keeps their exit
// codes, and outlives this program. What that package's comment tells of it, how
// it is found and what survives what, is true here. One root can have containers
// of several runtimes; each stays with the runtime that made it. Upgrade, which is
// that package's, upgrades the supervisor and not the program.
//
// A program must know create, start, exec --process, update --resources and
// delete --force, and leave the container's process a child of the caller's
// nearest subreaper. Seccomp profiles, hooks and whatever else a spec has go to it
// as they are, as a spec of version 1.0.2.
//
// crun refuses machines where cgroups of both versions are mounted; on these it
// is called where the unified ones are not to be seen. Where an exec's program
// cannot be executed, the runtime writes its complaint to the exec's stderr too.
package cli

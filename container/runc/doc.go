// Package runc runs containers with libcontainer, in a supervisor process that
// outlives the program.
//
//	rt, err := runc.Open(runc.Options{Root: "/var/lib/demo"})
//	…
//	defer rt.Close() // containers go on
//
// There is one supervisor per root, started with the first container and gone
// after the last. Its program is Options.Supervisor; else a lifepod-supervisor
// beside this program or in ../libexec; else this program itself, which must
// then import container/runc/reexec. libcontainer runs only there, and is not
// linked into a program that imports only this package.
//
// What survives what: containers survive the death of both. Output survives the
// supervisor's death (a line may be there twice) as long as the container lives
// or an agent is connected, but for containers with a terminal, which are hung
// up. An exit code is lost only if neither was there when the container ended, or
// on kernels before 6.15 no supervisor was: it is then
// [container.UnknownExitCode].
//
// [Runtime.Upgrade] has the supervisor go on as a newer program, in the same
// process: what lives and who is connected does not notice, and nothing is lost
// or logged twice. It keeps the configuration that it was started with. An agent
// and a supervisor whose protocols differ refuse each other with [ErrVersion],
// but for the request to upgrade, which is the same in all versions; nobody
// upgrades by itself.
package runc

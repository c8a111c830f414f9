// Package supervisor is the process that is the parent of all containers under
// one root. It alone runs libcontainer, or an OCI runtime program in its place: a
// box is what one of the two made of a container. It writes their logs, puts their exits
// on disk before anyone is told, and outlives the agents that talk to it.
//
// Nothing in it waits for one container in a goroutine or thread: one epoll set
// watches all processes and FIFOs, and work begins when something happens.
package supervisor

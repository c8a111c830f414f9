// Package seccomp turns an OCI seccomp profile into the program that the kernel
// runs at each system call, without libseccomp and without cgo.
//
//	filter, err := seccomp.Compile(spec.Linux.Seccomp, runtime.GOARCH)
//
// What a program allows is what libseccomp's, made by runc from the same profile,
// allows: names that an architecture lacks are left out, on x86 the socket and
// System V calls are also found behind socketcall and ipc, an architecture that
// the profile does not name kills the thread, and calls newer than all that the
// profile names fail with ENOSYS where they would otherwise be refused. Unlike
// libseccomp, a call for which several conditional rules of different actions
// hold gets the action of the first of them.
//
// Compiling is pure: it needs no kernel and no privileges, and its result may be
// kept and used many times. The programs for amd64 (with x86 and x32) and arm64
// (with 32-bit ARM) can be made on any machine. [Filter.Install] needs Linux.
package seccomp

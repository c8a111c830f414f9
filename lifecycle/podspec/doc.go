// Package podspec turns a Pod and what was resolved for it into CRI messages:
// [Sandbox] makes the PodSandboxConfig, [Container] a ContainerConfig, as the
// kubelet of Kubernetes 1.37 makes them. Everything is a pure function; the
// caller brings what must be looked up (objects, addresses, host paths).
//
// The order for one container is:
//
//	env, err := podspec.Env(EnvInput{…})            // values of all variables
//	subs, err := podspec.SubPaths(container, env)    // which mounts need a subPath
//	…prepare volumes and subPaths…
//	cfg, err := podspec.Container(ContainerInput{…}) // the message
//
// Errors have the kubelet's texts, and [Error.Reason] gives the waiting reason
// (CreateContainerConfigError). [Refused] names every field of a Pod that this
// version does not honour: a runner calls it at admission, so that no field is
// ignored silently.
package podspec

import "fmt"

// Reasons of errors.
const (
	// ReasonContainerConfig is the waiting reason of a container whose
	// configuration cannot be made.
	ReasonContainerConfig = "CreateContainerConfigError"
	// ReasonSandboxConfig is the reason of a sandbox that cannot be made.
	ReasonSandboxConfig = "CreatePodSandboxError"
)

// Error is a pod that cannot be turned into CRI messages as it stands. Its text
// is the kubelet's.
type Error struct {
	reason string
	err    error
}

// Reason is one of the Reason constants.
func (e *Error) Reason() string { return e.reason }

func (e *Error) Error() string { return e.err.Error() }

func (e *Error) Unwrap() error { return e.err }

func configError(err error) error { return &Error{ReasonContainerConfig, err} }

func configErrorf(format string, args ...any) error {
	return configError(fmt.Errorf(format, args...))
}

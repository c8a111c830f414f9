package volume

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Error is a volume that could not be made ready. Its text is that of the
// kubelet's FailedMount event.
type Error struct {
	Volume string
	Err    error
}

// Reason is "FailedMount".
func (e *Error) Reason() string { return "FailedMount" }

func (e *Error) Error() string {
	return fmt.Sprintf("MountVolume.SetUp failed for volume %q : %v", e.Volume, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Errors takes an error of SetUp or Update apart, one for each volume.
func Errors(err error) []*Error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []*Error
		for _, e := range joined.Unwrap() {
			out = append(out, Errors(e)...)
		}
		return out
	}
	var one *Error
	if errors.As(err, &one) {
		return []*Error{one}
	}
	return nil
}

// SubPathError is a subPath that could not be made ready. Its text tells nothing
// of the host; the cause behind it is for logs.
type SubPathError struct {
	text  string
	cause error
}

// Reason is "CreateContainerConfigError".
func (e *SubPathError) Reason() string { return "CreateContainerConfigError" }

func (e *SubPathError) Error() string { return e.text }

func (e *SubPathError) Unwrap() error { return e.cause }

// aggregate words several errors as one, in Kubernetes' form: one alone as it
// is, several in brackets, repeated ones once.
func aggregate(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	seen := map[string]bool{}
	var texts []string
	for _, err := range errs {
		if t := err.Error(); !seen[t] {
			seen[t] = true
			texts = append(texts, t)
		}
	}
	if len(texts) == 1 {
		return errs[0]
	}
	all := texts[0]
	for _, t := range texts[1:] {
		all += ", " + t
	}
	return errors.New("[" + all + "]")
}

// isNotFound knows an absent object by apimachinery's error or by its method.
func isNotFound(err error) bool {
	var own interface{ NotFound() bool }
	return apierrors.IsNotFound(err) || errors.As(err, &own) && own.NotFound()
}

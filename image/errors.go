package image

import (
	"errors"
	"fmt"
	"syscall"
)

// Reasons that an [Error] may carry. They are Kubernetes' own words.
const (
	ReasonInvalidName         = "InvalidImageName"
	ReasonRegistryUnavailable = "RegistryUnavailable"
	ReasonSignature           = "SignatureValidationFailed"
	ReasonInspect             = "ImageInspectError"
)

// Error is what went wrong with one image. Its text holds no secret.
type Error struct {
	// Op is the verb ("pull", "prepare") and Name what it was about.
	Op, Name string
	Err      error
	reason   string
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Name, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Reason is the Kubernetes reason, or "" where Kubernetes has no word of its
// own (a failed pull is then the caller's ErrImagePull).
func (e *Error) Reason() string { return e.reason }

// fail wraps err once; the reason is that of err if it has one.
func fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	var done *Error
	if errors.As(err, &done) {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = fmt.Errorf("%w: free space below the store's root, or remove images", err)
	}
	e := &Error{Op: op, Name: name, Err: err}
	var r interface {
		error
		Reason() string
	}
	if errors.As(err, &r) {
		e.reason = r.Reason()
	}
	return e
}

package cri

import (
	"context"
	"errors"
	"fmt"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/cri/ocispec"
	"github.com/lifepod/lifepod/image"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Error is an error with a gRPC code. errors.As finds its causes.
type Error struct {
	Code codes.Code
	Msg  string
	Err  error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Msg
	}
	if e.Msg == "" {
		return e.Err.Error()
	}
	return e.Msg + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// GRPCStatus makes status.Code and status.FromError work.
func (e *Error) GRPCStatus() *status.Status { return status.New(e.Code, e.Error()) }

func errorf(c codes.Code, format string, args ...any) error {
	return &Error{Code: c, Msg: fmt.Sprintf(format, args...)}
}

// wrap says what was done to what, and gives the cause's code.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Code: codeOf(err), Msg: fmt.Sprintf(format, args...), Err: err}
}

func codeOf(err error) codes.Code {
	var own *Error
	var field *ocispec.FieldError
	switch {
	case err == nil:
		return codes.OK
	case errors.As(err, &own):
		return own.Code
	case errors.As(err, &field):
		return codes.InvalidArgument
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	case errors.Is(err, container.ErrNotFound), errors.Is(err, image.ErrNotFound):
		return codes.NotFound
	case errors.Is(err, container.ErrExists):
		return codes.AlreadyExists
	case errors.Is(err, container.ErrState):
		return codes.FailedPrecondition
	case errors.Is(err, errors.ErrUnsupported):
		return codes.Unimplemented
	}
	return codes.Unknown
}

// fieldError is for a field that cannot be honoured.
func fieldError(field, why string) error {
	return &Error{Code: codes.InvalidArgument, Err: &ocispec.FieldError{Field: field, Reason: why}}
}

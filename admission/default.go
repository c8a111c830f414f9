package admission

import (
	"context"

	"github.com/lifepod/lifepod/admission/validation"
)

// Default returns the chain that every object should pass: for now validation.
// Put plugins of your own before it.
func Default() []Plugin {
	return []Plugin{{Name: "Validation", Validate: ValidateFunc(validateObject)}}
}

func validateObject(_ context.Context, r *Request) error {
	if r.Operation != Create {
		return nil
	}
	if errs := validation.Object(r.Object); len(errs) > 0 {
		return &InvalidError{Fields: errs}
	}
	return nil
}

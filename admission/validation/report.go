package validation

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// report collects what is wrong. Its methods say nothing when all is well.
type report struct{ errs field.ErrorList }

func (r *report) add(errs ...*field.Error) { r.errs = append(r.errs, errs...) }

func (r *report) required(at *field.Path, detail string)  { r.add(field.Required(at, detail)) }
func (r *report) forbidden(at *field.Path, detail string) { r.add(field.Forbidden(at, detail)) }
func (r *report) invalid(at *field.Path, v any, detail string) {
	r.add(field.Invalid(at, v, detail))
}

// need reports an empty value as required, and whether it is there.
func (r *report) need(at *field.Path, v string) bool {
	if v == "" {
		r.required(at, "")
	}
	return v != ""
}

// each reports one Invalid per message of one of apimachinery's checks.
func (r *report) each(at *field.Path, v any, msgs []string) {
	for _, msg := range msgs {
		r.invalid(at, v, msg)
	}
}

func (r *report) label(at *field.Path, v string)     { r.each(at, v, validation.IsDNS1123Label(v)) }
func (r *report) subdomain(at *field.Path, v string) { r.each(at, v, validation.IsDNS1123Subdomain(v)) }
func (r *report) qualified(at *field.Path, v string) { r.each(at, v, validation.IsQualifiedName(v)) }

func (r *report) ip(at *field.Path, v string) {
	r.add(validation.IsValidIPForLegacyField(at, v, strictIPs, nil)...)
}

// strictIPs is Kubernetes' gate StrictIPCIDRValidation, off in 1.37.
const strictIPs = false

func (r *report) nonNegative(at *field.Path, v int64) {
	if v < 0 {
		r.invalid(at, v, "must be greater than or equal to 0")
	}
}

func (r *report) between(at *field.Path, v, low, high int64) {
	if v < low || v > high {
		r.invalid(at, v, validation.InclusiveRangeError(int(low), int(high)))
	}
}

// mode reports file modes outside 0…0777.
func (r *report) mode(at *field.Path, mode *int32) {
	if mode != nil && (*mode < 0 || *mode > 0o777) {
		r.invalid(at, *mode, "must be a number between 0 and 0777 (octal), both inclusive")
	}
}

func (r *report) userID(at *field.Path, id *int64) {
	if id != nil {
		r.each(at, *id, validation.IsValidUserID(*id))
	}
}

func (r *report) groupID(at *field.Path, id *int64) {
	if id != nil {
		r.each(at, *id, validation.IsValidGroupID(*id))
	}
}

// oneOf reports a value that is not among those allowed. They are listed in the
// order given, which is Kubernetes'.
func oneOf[T ~string](r *report, at *field.Path, v T, allowed ...T) bool {
	for _, a := range allowed {
		if v == a {
			return true
		}
	}
	r.add(field.NotSupported(at, v, allowed))
	return false
}

// needOneOf is oneOf for a field that must not be empty.
func needOneOf[T ~string](r *report, at *field.Path, v T, allowed ...T) {
	if v == "" {
		r.required(at, "")
		return
	}
	oneOf(r, at, v, allowed...)
}

// maybeOneOf is oneOf for a field that may be missing.
func maybeOneOf[T ~string](r *report, at *field.Path, v *T, allowed ...T) {
	if v != nil {
		oneOf(r, at, *v, allowed...)
	}
}

// unique finds repetitions.
type unique map[string]bool

// again notes v and reports whether it was there before.
func (u unique) again(v string) bool {
	seen := u[v]
	u[v] = true
	return seen
}

func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

package main

import (
	"cmp"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/admission"
	"github.com/lifepod/lifepod/admission/defaults"
	"github.com/lifepod/lifepod/admission/validation"
)

func checkDefault(line []byte) (map[string]any, error) {
	p, err := question[corev1.Pod](line)
	if err != nil {
		return nil, err
	}
	defaults.Pod(&p)
	return answer(p), nil
}

// fieldError is an error as the corpus writes it.
type fieldError struct {
	Type   string `json:"type"`
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// checkValidate prepares a pod and validates it. Errors are compared as sets: the
// real code says some things twice, and in no order.
func checkValidate(line []byte) (map[string]any, error) {
	var l struct {
		In           *corev1.Pod
		PreparedSpec *corev1.PodSpec
		Errors       []fieldError
	}
	if err := json.Unmarshal(line, &l); err != nil {
		return nil, err
	}
	admission.PrepareForCreate(l.In)
	for i := range l.In.Status.Conditions {
		l.In.Status.Conditions[i].LastTransitionTime.Reset()
	}
	var got []fieldError
	for _, e := range validation.Pod(l.In) {
		got = append(got, fieldError{string(e.Type), e.Field, e.Detail})
	}
	out := map[string]any{"errors": got, "preparedStatus": l.In.Status}
	if slices.Equal(set(got), set(l.Errors)) {
		out["errors"] = l.Errors
	}
	if l.PreparedSpec != nil {
		out["preparedSpec"] = l.In.Spec
	}
	return out, nil
}

func set(errs []fieldError) []fieldError {
	errs = slices.Clone(errs)
	slices.SortFunc(errs, func(a, b fieldError) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Detail, b.Detail))
	})
	return slices.Compact(errs)
}

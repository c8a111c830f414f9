package validation

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Pod validates a new pod, defaulted and prepared.
func Pod(p *corev1.Pod) field.ErrorList {
	errs := meta(p, true, apivalidation.NameIsDNSSubdomain)
	spec := field.NewPath("spec")
	if len(p.Spec.Containers) == 0 {
		errs = append(errs, field.Required(spec.Child("containers"), ""))
	}
	return errs
}

package typed

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

// selector is the label and field selector of one request.
type selector struct {
	r      Resource
	labels labels.Selector
	fields fields.Selector
}

func newSelector(r Resource, o metav1.ListOptions) (selector, error) {
	l, err := labels.Parse(o.LabelSelector)
	if err != nil {
		return selector{}, apierrors.NewBadRequest(err.Error())
	}
	f, err := fields.ParseSelector(o.FieldSelector)
	if err != nil {
		return selector{}, apierrors.NewBadRequest(err.Error())
	}
	known := fieldsOf(r, r.New())
	for _, req := range f.Requirements() {
		if !known.Has(req.Field) {
			return selector{}, apierrors.NewBadRequest("field label not supported: " + req.Field)
		}
	}
	return selector{r: r, labels: l, fields: f}, nil
}

// everything reports that nothing is selected away, so that nobody has to look.
func (s selector) everything() bool { return s.labels.Empty() && s.fields.Empty() }

func (s selector) matches(obj Object) bool {
	if !s.labels.Empty() && !s.labels.Matches(labels.Set(obj.GetLabels())) {
		return false
	}
	return s.fields.Empty() || s.fields.Matches(fieldsOf(s.r, obj))
}

func fieldsOf(r Resource, obj Object) fields.Set {
	set := fields.Set{}
	if r.Fields != nil {
		set = r.Fields(obj)
	}
	set["metadata.name"] = obj.GetName()
	if r.Namespaced {
		set["metadata.namespace"] = obj.GetNamespace()
	}
	return set
}

// checkList refuses what this implementation does not honour.
func checkList(o metav1.ListOptions, watching bool) error {
	if o.Continue != "" {
		return apierrors.NewResourceExpired("The provided continue parameter is too old to display a consistent list result. " +
			"You must start a new list without the continue parameter.")
	}
	initial := o.SendInitialEvents != nil
	switch m := o.ResourceVersionMatch; {
	case initial && !watching:
		return apierrors.NewBadRequest("sendInitialEvents is forbidden for list")
	case initial && m != metav1.ResourceVersionMatchNotOlderThan:
		return apierrors.NewBadRequest("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
	case watching && !initial && m != "":
		return apierrors.NewBadRequest("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
	case m != "" && !initial && o.ResourceVersion == "":
		return apierrors.NewBadRequest("resourceVersionMatch is forbidden unless resourceVersion is provided")
	case m != "" && m != metav1.ResourceVersionMatchNotOlderThan && m != metav1.ResourceVersionMatchExact:
		return apierrors.NewBadRequest(fmt.Sprintf("resourceVersionMatch %q is not supported", m))
	}
	return nil
}

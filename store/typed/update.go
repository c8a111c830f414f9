package typed

import (
	"context"
	"reflect"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Update implements Client.
func (s *Server) Update(ctx context.Context, r Resource, obj Object, o metav1.UpdateOptions) (Object, error) {
	return s.replace(ctx, r, obj, o.DryRun, func(now, next Object) {
		copyField(r.status(next), r.status(now))
		if spec := r.spec(now); spec != nil && !equality.Semantic.DeepEqual(spec, r.spec(next)) {
			next.SetGeneration(now.GetGeneration() + 1)
		}
	})
}

// UpdateStatus implements Client.
func (s *Server) UpdateStatus(ctx context.Context, r Resource, obj Object, o metav1.UpdateOptions) (Object, error) {
	if r.status(obj) == nil {
		return nil, apierrors.NewNotFound(r.GroupResource(), obj.GetName()+"/status")
	}
	return s.replace(ctx, r, obj, o.DryRun, func(now, next Object) {
		status := reflect.ValueOf(r.status(next)).Elem().Interface()
		owners := now.GetOwnerReferences()
		meta := next.DeepCopyObject().(Object)
		reflect.ValueOf(next).Elem().Set(reflect.ValueOf(now.DeepCopyObject()).Elem())
		next.SetLabels(meta.GetLabels())
		next.SetAnnotations(meta.GetAnnotations())
		next.SetFinalizers(meta.GetFinalizers())
		next.SetOwnerReferences(owners)
		reflect.ValueOf(r.status(next)).Elem().Set(reflect.ValueOf(status))
	})
}

// replace puts next, as prepare leaves it, in the place of what is stored.
func (s *Server) replace(ctx context.Context, r Resource, next Object, dryRun []string, prepare func(now, next Object)) (Object, error) {
	dry, err := isDryRun(dryRun)
	if err != nil {
		return nil, err
	}
	namespace, name := next.GetNamespace(), next.GetName()
	if _, err := revision(next.GetResourceVersion()); err != nil {
		return nil, err
	}
	return s.modify(ctx, r, namespace, name, dry, func(now Object) error {
		if uid := next.GetUID(); uid != "" && uid != now.GetUID() {
			return checkPreconditions(r, now, &metav1.Preconditions{UID: &uid})
		}
		if v := next.GetResourceVersion(); v != "" && v != "0" && v != now.GetResourceVersion() {
			return apierrors.NewConflict(r.GroupResource(), name, errStale)
		}
		to := next.DeepCopyObject().(Object)
		keepSystemFields(now, to)
		prepare(now, to)
		if errs := apivalidation.ValidateObjectMetaAccessorUpdate(to, now, field.NewPath("metadata")); len(errs) > 0 {
			return apierrors.NewInvalid(r.Kind.GroupKind(), name, errs)
		}
		reflect.ValueOf(now).Elem().Set(reflect.ValueOf(to).Elem())
		return nil
	})
}

// keepSystemFields carries over what an update cannot change.
func keepSystemFields(now, to Object) {
	to.SetResourceVersion(now.GetResourceVersion())
	to.SetUID(now.GetUID())
	to.SetGeneration(now.GetGeneration())
	to.SetCreationTimestamp(now.GetCreationTimestamp())
	if now.GetDeletionTimestamp() != nil {
		to.SetDeletionTimestamp(now.GetDeletionTimestamp())
	}
	if now.GetDeletionGracePeriodSeconds() != nil && to.GetDeletionGracePeriodSeconds() == nil {
		to.SetDeletionGracePeriodSeconds(now.GetDeletionGracePeriodSeconds())
	}
}

// copyField sets what to points at to what from points at; nil pointers are left.
func copyField(to, from any) {
	if to != nil && from != nil {
		reflect.ValueOf(to).Elem().Set(reflect.ValueOf(from).Elem())
	}
}

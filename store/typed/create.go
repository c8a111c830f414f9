package typed

import (
	"context"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apivalidation "k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/lifepod/lifepod/store"
)

const (
	// nameTries bounds how many names are made from one generateName.
	nameTries = 8
	// maxNameBase is how much of generateName is kept before the random part.
	maxNameBase = 58
	// nameLetters leaves out what reads as a word or as another letter.
	nameLetters = "bcdfghjklmnpqrstvwxz2456789"
)

// GenerateName makes a name from a generateName: its first 58 bytes and five
// random characters.
func GenerateName(base string) string {
	b := []byte(base[:min(len(base), maxNameBase)])
	for range 5 {
		b = append(b, nameLetters[rand.IntN(len(nameLetters))])
	}
	return string(b)
}

// Create implements Client. Nothing else in metadata is changed; what the
// status says is stored.
func (s *Server) Create(ctx context.Context, r Resource, obj Object, o metav1.CreateOptions) (Object, error) {
	dryRun, err := isDryRun(o.DryRun)
	if err != nil {
		return nil, err
	}
	obj = obj.DeepCopyObject().(Object)
	if obj.GetResourceVersion() != "" {
		return nil, apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	}
	if obj.GetUID() == "" {
		obj.SetUID(uuid.NewUUID())
	}
	if created := obj.GetCreationTimestamp(); created.IsZero() {
		obj.SetCreationTimestamp(metav1.NewTime(time.Now().Truncate(time.Second)))
	}
	if r.spec(obj) != nil && obj.GetGeneration() == 0 {
		obj.SetGeneration(1)
	}
	if obj.GetName() == "" && obj.GetGenerateName() != "" {
		return s.createGenerated(ctx, r, obj, dryRun)
	}
	return s.create(ctx, r, obj, dryRun)
}

func (s *Server) createGenerated(ctx context.Context, r Resource, obj Object, dryRun bool) (Object, error) {
	for range nameTries {
		obj.SetName(GenerateName(obj.GetGenerateName()))
		out, err := s.create(ctx, r, obj, dryRun)
		if !apierrors.IsAlreadyExists(err) {
			return out, err
		}
	}
	return nil, apierrors.NewGenerateNameConflict(r.GroupResource(), obj.GetName(), 1)
}

func (s *Server) create(ctx context.Context, r Resource, obj Object, dryRun bool) (Object, error) {
	if err := checkNew(r, obj); err != nil {
		return nil, err
	}
	key := r.key(obj.GetNamespace(), obj.GetName())
	value, err := encode(r, obj)
	if err != nil {
		return nil, err
	}
	if dryRun {
		if _, err := s.Store.Get(ctx, key); err == nil {
			return nil, apierrors.NewAlreadyExists(r.GroupResource(), obj.GetName())
		}
		out, err := decode(r, store.Item{Key: key, Value: value})
		if err == nil {
			out.SetResourceVersion("")
		}
		return out, err
	}
	rev, err := s.Store.Put(ctx, key, value, store.Absent)
	if err != nil {
		return nil, apiError(r, obj.GetName(), err)
	}
	return decode(r, store.Item{Key: key, Value: value, Revision: rev})
}

// checkNew refuses metadata that cannot be stored; all else is admission's.
func checkNew(r Resource, obj Object) error {
	var errs field.ErrorList
	meta := field.NewPath("metadata")
	if obj.GetName() == "" {
		errs = append(errs, field.Required(meta.Child("name"), "name or generateName is required"))
	}
	for _, msg := range apivalidation.IsValidPathSegmentName(obj.GetName()) { //nolint:staticcheck // the API's own texts
		errs = append(errs, field.Invalid(meta.Child("name"), obj.GetName(), msg))
	}
	switch ns := obj.GetNamespace(); {
	case r.Namespaced && ns == "":
		errs = append(errs, field.Required(meta.Child("namespace"), ""))
	case !r.Namespaced && ns != "":
		errs = append(errs, field.Forbidden(meta.Child("namespace"), "not allowed on this type"))
	default:
		for _, msg := range apivalidation.IsValidPathSegmentName(ns) { //nolint:staticcheck // the API's own texts
			errs = append(errs, field.Invalid(meta.Child("namespace"), ns, msg))
		}
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(r.Kind.GroupKind(), obj.GetName(), errs)
	}
	return nil
}

// checkKey refuses names that would lead to another object's key.
func checkKey(r Resource, namespace, name string) error {
	if name == "" {
		return apierrors.NewBadRequest("resource name may not be empty")
	}
	if r.Namespaced && namespace == "" {
		return apierrors.NewBadRequest("an empty namespace may not be set when a resource name is provided")
	}
	for _, part := range []string{namespace, name} {
		for _, msg := range apivalidation.IsValidPathSegmentName(part) { //nolint:staticcheck // the API's own texts
			return apierrors.NewBadRequest("invalid name " + part + ": " + msg)
		}
	}
	return nil
}

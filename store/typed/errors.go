package typed

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifepod/lifepod/store"
)

// errStale is the text of every 409 after a write that came too late.
var errStale = errors.New("the object has been modified; please apply your changes to the latest version and try again")

// apiError turns an error of the store about one object into the API's.
func apiError(r Resource, name string, err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return apierrors.NewNotFound(r.GroupResource(), name)
	case errors.Is(err, store.ErrExists):
		return apierrors.NewAlreadyExists(r.GroupResource(), name)
	case errors.Is(err, store.ErrConflict):
		return apierrors.NewConflict(r.GroupResource(), name, errStale)
	}
	return err
}

// preconditionError is what the API says when an update's precondition fails.
func preconditionError(r Resource, key, name, what string, want, have any) error {
	return apierrors.NewConflict(r.GroupResource(), name, fmt.Errorf(
		"StorageError: invalid object, Code: 4, Key: /registry/%s, ResourceVersion: 0, AdditionalErrorMsg: "+
			"Precondition failed: %s in precondition: %v, %s in object meta: %v", key, what, want, what, have))
}

// tooLarge is for a resourceVersion that has not happened yet.
func tooLarge(want, have int64) error {
	err := apierrors.NewTimeoutError(fmt.Sprintf("Too large resource version: %d, current: %d", want, have), 1)
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{
		Type: metav1.CauseTypeResourceVersionTooLarge, Message: "Too large resource version",
	}}
	return err
}

// tooOld is for a resourceVersion that is forgotten.
func tooOld(version int64) error {
	return apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d", version))
}

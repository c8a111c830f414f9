package typed

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"github.com/lifepod/lifepod/store"
)

// Delete implements Client. Nothing collects dependents here, so a
// propagationPolicy other than Background is refused.
func (s *Server) Delete(ctx context.Context, r Resource, namespace, name string, o metav1.DeleteOptions) error {
	if err := checkKey(r, namespace, name); err != nil {
		return err
	}
	dryRun, err := checkDelete(o)
	if err != nil {
		return err
	}
	key := r.key(namespace, name)
	for {
		err := s.tryDelete(ctx, r, key, o, dryRun)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		return apiError(r, name, err)
	}
}

func checkDelete(o metav1.DeleteOptions) (dryRun bool, err error) {
	if errs := metav1validation.ValidateDeleteOptions(&o); len(errs) > 0 {
		return false, apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "DeleteOptions"}, "", errs)
	}
	if p := o.PropagationPolicy; p != nil && *p != metav1.DeletePropagationBackground {
		return false, apierrors.NewBadRequest(fmt.Sprintf("propagationPolicy %s is not supported: nothing collects dependents here", *p))
	}
	if ptr.Deref(o.OrphanDependents, false) { //nolint:staticcheck // old clients send it
		return false, apierrors.NewBadRequest("orphanDependents is not supported: nothing collects dependents here")
	}
	return isDryRun(o.DryRun)
}

func (s *Server) tryDelete(ctx context.Context, r Resource, key string, o metav1.DeleteOptions, dryRun bool) error {
	it, err := s.Store.Get(ctx, key)
	if err != nil {
		return err
	}
	obj, err := decode(r, it)
	if err != nil {
		return err
	}
	if err := checkDeletePreconditions(r, obj, o.Preconditions); err != nil {
		return err
	}
	verdict := beginDelete(r, obj, o.GracePeriodSeconds, time.Now())
	if dryRun || verdict == alreadyDeleting {
		return nil
	}
	if verdict == deleteNow {
		_, err := s.Store.Delete(ctx, key, it.Revision)
		return err
	}
	value, err := encode(r, obj)
	if err != nil {
		return err
	}
	_, err = s.Store.Put(ctx, key, value, it.Revision)
	return err
}

func checkDeletePreconditions(r Resource, obj Object, pre *metav1.Preconditions) error {
	if pre == nil {
		return nil
	}
	where := schema.GroupResource{Group: r.Kind.Group, Resource: r.Kind.Kind}
	if pre.UID != nil && *pre.UID != obj.GetUID() {
		return apierrors.NewConflict(where, obj.GetName(), fmt.Errorf("the UID in the precondition (%s) does not match the UID "+
			"in record (%s). The object might have been deleted and then recreated", *pre.UID, obj.GetUID()))
	}
	if pre.ResourceVersion != nil && *pre.ResourceVersion != obj.GetResourceVersion() {
		return apierrors.NewConflict(where, obj.GetName(), fmt.Errorf("the ResourceVersion in the precondition (%s) does not match "+
			"the ResourceVersion in record (%s). The object might have been modified", *pre.ResourceVersion, obj.GetResourceVersion()))
	}
	return nil
}

// verdict is what a request to delete leads to.
type verdict int

const (
	deleteNow       verdict = iota // remove it
	markDeleting                   // write it: it has a deletionTimestamp now
	alreadyDeleting                // nothing to do
)

// beginDelete decides a deletion and marks obj for it.
func beginDelete(r Resource, obj Object, requested *int64, now time.Time) verdict {
	v := beginGraceful(r, obj, requested, now)
	if len(obj.GetFinalizers()) == 0 || v != deleteNow {
		return v
	}
	// Finalizers hold it, without a grace period.
	at, grace := obj.GetDeletionTimestamp(), obj.GetDeletionGracePeriodSeconds()
	if at != nil && !at.After(now) && grace != nil && *grace == 0 {
		return alreadyDeleting
	}
	if at == nil {
		bumpGeneration(obj)
	}
	if at == nil || at.After(now) {
		obj.SetDeletionTimestamp(&metav1.Time{Time: now.Truncate(time.Second)})
	}
	obj.SetDeletionGracePeriodSeconds(ptr.To[int64](0))
	return markDeleting
}

func beginGraceful(r Resource, obj Object, requested *int64, now time.Time) verdict {
	if r.Grace == nil {
		return deleteNow
	}
	if requested != nil && *requested < 0 {
		requested = ptr.To[int64](1)
	}
	if obj.GetDeletionTimestamp() != nil {
		return shorten(obj, requested, now)
	}
	grace := r.Grace(obj, requested)
	if grace <= 0 {
		return deleteNow
	}
	bumpGeneration(obj)
	setDeletion(obj, now.Add(time.Duration(grace)*time.Second), grace)
	return markDeleting
}

// shorten is a request for what is being deleted: it may only get shorter.
func shorten(obj Object, requested *int64, now time.Time) verdict {
	grace := ptr.Deref(obj.GetDeletionGracePeriodSeconds(), 0)
	if grace == 0 {
		return deleteNow
	}
	if requested == nil || *requested >= grace {
		return alreadyDeleting
	}
	if *requested == 0 {
		setDeletion(obj, now, 0)
		if len(obj.GetFinalizers()) > 0 {
			return markDeleting
		}
		return deleteNow
	}
	at := obj.GetDeletionTimestamp().Add(time.Duration(*requested-grace) * time.Second)
	if at.Before(now) { // all of it is over already, but the node still has the last word
		setDeletion(obj, now, 1)
		return markDeleting
	}
	setDeletion(obj, at, *requested)
	return markDeleting
}

func setDeletion(obj Object, at time.Time, grace int64) {
	obj.SetDeletionTimestamp(&metav1.Time{Time: at.Truncate(time.Second)})
	obj.SetDeletionGracePeriodSeconds(&grace)
}

func bumpGeneration(obj Object) {
	if g := obj.GetGeneration(); g > 0 {
		obj.SetGeneration(g + 1)
	}
}

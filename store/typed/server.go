package typed

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifepod/lifepod/store"
)

// Server is a Client over a store.Store: the part of an API server that keeps
// objects. It does no defaulting, validation or admission; package admission does
// that before, and hands over what may be stored. It is safe for concurrent use.
type Server struct {
	// Store holds the objects, under "<group>/<plural>/<namespace>/<name>".
	Store store.Store
}

var _ Client = (*Server)(nil)

// Get implements Client.
func (s *Server) Get(ctx context.Context, r Resource, namespace, name string) (Object, error) {
	if err := checkKey(r, namespace, name); err != nil {
		return nil, err
	}
	it, err := s.Store.Get(ctx, r.key(namespace, name))
	if err != nil {
		return nil, apiError(r, name, err)
	}
	return decode(r, it)
}

// List implements Client.
func (s *Server) List(ctx context.Context, r Resource, namespace string, o metav1.ListOptions) (List, error) {
	if err := checkList(o, false); err != nil {
		return List{}, err
	}
	sel, err := newSelector(r, o)
	if err != nil {
		return List{}, err
	}
	since, err := revision(o.ResourceVersion)
	if err != nil {
		return List{}, err
	}
	list, now, err := s.list(ctx, r, namespace, sel)
	switch {
	case err != nil:
		return List{}, err
	case since > now:
		return List{}, tooLarge(since, now)
	case o.ResourceVersionMatch == metav1.ResourceVersionMatchExact && since != now:
		return List{}, apierrors.NewResourceExpired("The resourceVersion for the provided list is too old.")
	}
	return list, nil
}

func (s *Server) list(ctx context.Context, r Resource, namespace string, sel selector) (List, int64, error) {
	items, now, err := s.Store.List(ctx, r.prefix(namespace))
	if err != nil {
		return List{}, 0, err
	}
	list := List{ResourceVersion: version(now), Items: make([]Object, 0, len(items))}
	for _, it := range items {
		obj, err := decode(r, it)
		if err != nil {
			return List{}, 0, err
		}
		if sel.matches(obj) {
			list.Items = append(list.Items, obj)
		}
	}
	return list, now, nil
}

// Modify is the primitive below Update, for subresources such as binding: it
// reads the object, checks pre (which may be nil), lets change alter all of it,
// writes it if nobody wrote in between and else starts again. An unchanged object
// is not written. An error of change ends it. An object whose deletion waits only
// for the finalizers that change removed is removed.
func (s *Server) Modify(ctx context.Context, r Resource, namespace, name string, pre *metav1.Preconditions,
	change func(Object) error) (Object, error) {
	return s.modify(ctx, r, namespace, name, false, func(obj Object) error {
		if err := checkPreconditions(r, obj, pre); err != nil {
			return err
		}
		return change(obj)
	})
}

func (s *Server) modify(ctx context.Context, r Resource, namespace, name string, dryRun bool,
	change func(Object) error) (Object, error) {
	if err := checkKey(r, namespace, name); err != nil {
		return nil, err
	}
	for {
		out, err := s.tryModify(ctx, r, r.key(namespace, name), dryRun, change)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		return out, apiError(r, name, err)
	}
}

func (s *Server) tryModify(ctx context.Context, r Resource, key string, dryRun bool, change func(Object) error) (Object, error) {
	it, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	old, err := decode(r, it)
	if err != nil {
		return nil, err
	}
	obj := old.DeepCopyObject().(Object)
	if err := change(obj); err != nil {
		return nil, err
	}
	if finished(old, obj) {
		if !dryRun {
			_, err = s.Store.Delete(ctx, key, it.Revision)
		}
		return obj, err
	}
	value, err := encode(r, obj)
	if err != nil {
		return nil, err
	}
	if dryRun || string(value) == string(it.Value) {
		it.Value = value
		return decode(r, it)
	}
	rev, err := s.Store.Put(ctx, key, value, it.Revision)
	if err != nil {
		return nil, err
	}
	return decode(r, store.Item{Key: key, Value: value, Revision: rev})
}

// finished reports that obj, in the state that replaces old, has nothing left
// that holds up its deletion.
func finished(old, obj Object) bool {
	if len(obj.GetFinalizers()) > 0 || old.GetDeletionTimestamp() == nil {
		return false
	}
	grace := old.GetDeletionGracePeriodSeconds()
	return grace == nil || *grace == 0
}

func checkPreconditions(r Resource, obj Object, pre *metav1.Preconditions) error {
	if pre == nil {
		return nil
	}
	key := r.key(obj.GetNamespace(), obj.GetName())
	if pre.UID != nil && *pre.UID != obj.GetUID() {
		return preconditionError(r, key, obj.GetName(), "UID", *pre.UID, obj.GetUID())
	}
	if pre.ResourceVersion != nil && *pre.ResourceVersion != obj.GetResourceVersion() {
		return preconditionError(r, key, obj.GetName(), "ResourceVersion", *pre.ResourceVersion, obj.GetResourceVersion())
	}
	return nil
}

func isDryRun(dryRun []string) (bool, error) {
	for _, d := range dryRun {
		if d != metav1.DryRunAll {
			return false, apierrors.NewBadRequest(fmt.Sprintf("dryRun: Unsupported value: %q: supported values: %q", d, metav1.DryRunAll))
		}
	}
	return len(dryRun) > 0, nil
}

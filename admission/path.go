package admission

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/lifepod/lifepod/admission/defaults"
)

// Path takes objects from decoded to stored. The zero value defaults, prepares
// and stores nothing; see Default for plugins that validate. It is safe for
// concurrent use as far as its plugins are.
type Path struct {
	// Plugins are the chain: all Mutators in this order, then all Validators.
	Plugins []Plugin
	// Store keeps what was admitted and returns it as stored. Nil: Create ends
	// before, as a dry run.
	Store func(ctx context.Context, obj Object) (Object, error)
	// Namespace is for objects that name none and need one. Empty means "default".
	Namespace string
	// Lenient drops fields of features that Kubernetes 1.37 has switched off, as an
	// API server does, with a warning. Otherwise they are refused.
	Lenient bool
	// Explain records in Result.Steps which fields each step changed. It costs a
	// copy and a comparison per step.
	Explain bool
}

// Result is an admitted object and how it came about.
type Result struct {
	// Object is as stored, or as it would be; nil when refused.
	Object Object
	Steps  []Step
	// Warnings are for people: what is allowed but is likely not meant.
	Warnings []string
}

// nameTries bounds how often a generated name is made anew when it is taken.
const nameTries = 8

// Create admits a new object. obj is not changed. The Result is never nil: on an
// error it tells how far the request came.
func (p *Path) Create(ctx context.Context, obj Object) (*Result, error) {
	run := &run{path: p, result: new(Result)}
	for try := 1; ; try++ {
		out, err := run.create(ctx, obj.DeepCopyObject().(Object))
		generated := obj.GetName() == "" && obj.GetGenerateName() != ""
		if err != nil && generated && apierrors.IsAlreadyExists(err) && try < nameTries {
			run.result.Steps = nil
			continue
		}
		run.result.Object = out
		return run.result, err
	}
}

// run is one request on its way.
type run struct {
	path   *Path
	result *Result
	req    *Request
}

func (r *run) create(ctx context.Context, obj Object) (Object, error) {
	kind, err := kindOf(obj)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	obj.GetObjectKind().SetGroupVersionKind(kind.gvk)
	r.req = &Request{
		Operation: Create, Kind: kind.gvk, Resource: kind.gvk.GroupVersion().WithResource(kind.plural),
		Object: obj, DryRun: r.path.Store == nil,
	}
	if kind.namespaced && obj.GetNamespace() == "" {
		obj.SetNamespace(r.path.namespace())
	}
	fillMetadata(obj)
	if err := r.step("", Defaulting, func() error { defaults.Object(obj); return nil }); err != nil {
		return nil, err
	}
	if err := r.mutate(ctx); err != nil {
		return nil, err
	}
	if err := r.step("", Preparing, r.prepare); err != nil {
		return nil, err
	}
	if err := r.validate(ctx); err != nil {
		return nil, err
	}
	if r.path.Store == nil {
		return obj, nil
	}
	err = r.step("", Storing, func() error {
		obj, err = r.path.Store(ctx, obj)
		return err
	})
	if err != nil {
		return nil, err
	}
	return obj, nil
}

func (p *Path) namespace() string {
	if p.Namespace == "" {
		return metav1.NamespaceDefault
	}
	return p.Namespace
}

// fillMetadata sets what the server, not the client, says.
func fillMetadata(obj Object) {
	obj.SetUID(uuid.NewUUID())
	obj.SetCreationTimestamp(metav1.NewTime(time.Now().Truncate(time.Second)))
	obj.SetDeletionTimestamp(nil)
	obj.SetDeletionGracePeriodSeconds(nil)
	obj.SetSelfLink("")
	if obj.GetName() == "" && obj.GetGenerateName() != "" {
		obj.SetName(generateName(obj.GetGenerateName()))
	}
}

func (r *run) mutate(ctx context.Context) error {
	for _, plugin := range r.path.Plugins {
		if plugin.Mutate == nil {
			continue
		}
		err := r.step(plugin.Name, Mutating, func() error {
			if err := plugin.Mutate.Mutate(ctx, r.req); err != nil {
				return err
			}
			defaults.Object(r.req.Object)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *run) prepare() error {
	dropped := PrepareForCreate(r.req.Object)
	if r.path.Lenient || len(dropped) == 0 {
		for _, at := range dropped {
			r.result.Warnings = append(r.result.Warnings, at+": dropped, "+featureOff)
		}
		return nil
	}
	var errs field.ErrorList
	for _, at := range dropped {
		errs = append(errs, field.Forbidden(field.NewPath(at), featureOff))
	}
	return &InvalidError{Fields: errs}
}

const featureOff = "its feature is off in Kubernetes 1.37"

func (r *run) validate(ctx context.Context) error {
	for _, plugin := range r.path.Plugins {
		if plugin.Validate == nil {
			continue
		}
		err := r.step(plugin.Name, Validating, func() error { return plugin.Validate.Validate(ctx, r.req) })
		if err != nil {
			return err
		}
	}
	return nil
}

// step does one step and records it.
func (r *run) step(plugin string, phase Phase, do func() error) error {
	step := Step{Plugin: plugin, Phase: phase}
	var before Object
	if r.path.Explain && phase != Validating && phase != Storing {
		before = r.req.Object.DeepCopyObject().(Object)
	}
	if err := do(); err != nil {
		step.Err = r.refusal(err)
	} else if before != nil {
		step.Changes = Diff(before, r.req.Object)
	}
	r.result.Steps = append(r.result.Steps, step)
	return step.Err
}

// refusal turns what a plugin said into an API error.
func (r *run) refusal(err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) || errors.Is(err, context.Canceled) {
		return err
	}
	name := r.req.Object.GetName()
	var invalid *InvalidError
	if errors.As(err, &invalid) {
		return apierrors.NewInvalid(r.req.Kind.GroupKind(), name, invalid.Fields)
	}
	return apierrors.NewForbidden(r.req.Resource.GroupResource(), name, err)
}

// InvalidError is for plugins that find fields wrong: it becomes 422 Invalid with
// one cause per field.
type InvalidError struct{ Fields field.ErrorList }

func (e *InvalidError) Error() string { return fmt.Sprint(e.Fields.ToAggregate()) }

// Reason is the reason of the API error that it becomes.
func (e *InvalidError) Reason() string { return string(metav1.StatusReasonInvalid) }

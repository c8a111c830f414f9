package lifecycle

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/image/credentials"
	"github.com/lifepod/lifepod/image/policy"
	"github.com/lifepod/lifepod/image/pullrecord"
	"github.com/lifepod/lifepod/lifecycle/plan"
)

// checkImage looks whether the image is there, and whether the pod may use it
// without asking the registry.
func (w *worker) checkImage(ctx context.Context, a plan.CheckImage) plan.Result {
	resp, err := w.r.Images.ImageStatus(ctx, imageSpec(tagged(a.Image)), false)
	if err != nil {
		f := failure(policy.ReasonInspect, err)
		f.Message = policy.InspectMessage(a.Image, err)
		return plan.Result{Err: f}
	}
	if resp.GetImage() == nil {
		return plan.Result{}
	}
	f := facts(resp.GetImage())
	f.MustPull = w.mustPull(ctx, a.Image, f.Ref)
	return plan.Result{Image: f}
}

// pullImage pulls when it is the pull's turn, and writes down who may use the image
// by that.
func (w *worker) pullImage(ctx context.Context, a plan.PullImage) plan.Result {
	l, err := w.logins(ctx, a.Image)
	if err != nil {
		return plan.Result{Err: failure(policy.ReasonPull, err)}
	}
	var f plan.ImageFacts
	err = w.r.recorded(ctx, a.Image, func() (ref string, with pullrecord.Credentials, err error) {
		err = w.r.gate.Do(ctx, func() (err error) {
			f, with, err = w.pullWith(ctx, a.Image, l)
			return err
		})
		return f.Ref, with, err
	})
	if err != nil {
		why := policy.Failed(a.Image, err)
		return plan.Result{Err: &plan.Failure{Reason: why.Reason, Message: err.Error()}, Image: plan.ImageFacts{MissingSecrets: l.missing}}
	}
	return plan.Result{Image: f}
}

// pullWith tries one login after another, or pulls without any if there are none. It
// says with which it went well.
func (w *worker) pullWith(ctx context.Context, image string, l logins) (f plan.ImageFacts, with pullrecord.Credentials, err error) {
	cfg, err := w.sandboxConfig(0, false)
	if err != nil {
		return f, with, err
	}
	auths := make([]*credentials.Auth, 0, len(l.auths)+1)
	for i := range l.auths {
		auths = append(auths, &l.auths[i])
	}
	if len(auths) == 0 {
		auths = append(auths, nil)
	}
	began := time.Now()
	var errs []error
	for _, auth := range auths {
		ref, err := w.r.Images.PullImage(ctx, imageSpec(tagged(image)), authConfig(auth), cfg)
		if err != nil {
			errs = append(errs, plain(err))
			continue
		}
		f = plan.ImageFacts{Ref: ref}
		// The size is for the event alone, as in the kubelet.
		if resp, err := w.r.Images.ImageStatus(ctx, imageSpec(ref), false); err == nil {
			f = facts(resp.GetImage())
			f.Ref = ref
		}
		f.PullDuration = time.Since(began)
		return f, l.used(auth), nil
	}
	return f, with, joined(errs)
}

// joined is the error of one pull whose tries all failed, in the kubelet's form; if
// they all say the same it is one of them, with its reason.
func joined(errs []error) error {
	all := utilerrors.NewAggregate(errs)
	if all.Error() == errs[0].Error() {
		return errs[0]
	}
	return all
}

// tagged is an image's name with a tag or digest: what a runtime is asked for. A
// name that cannot be parsed never gets here; plan refuses it.
func tagged(image string) string {
	if full, err := policy.WithDefaultTag(image); err == nil {
		return full
	}
	return image
}

// plain takes the code off a status that says nothing by it, as the kubelet's
// client does: what stays is the registry's own text.
func plain(err error) error {
	var has interface{ GRPCStatus() *status.Status }
	if errors.As(err, &has) && has.GRPCStatus().Code() == codes.Unknown {
		return plainError{err, has.GRPCStatus().Message()}
	}
	return err
}

// plainError is an error with another text.
type plainError struct {
	cause error
	text  string
}

func (e plainError) Error() string { return e.text }
func (e plainError) Unwrap() error { return e.cause }

func facts(img *runtimeapi.Image) plan.ImageFacts {
	return plan.ImageFacts{Ref: img.GetId(), Size: int64(img.GetSize())} //nolint:gosec // a size on disk
}

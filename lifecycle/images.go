package lifecycle

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/image/policy"
	"github.com/lifepod/lifepod/lifecycle/plan"
)

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
	return plan.Result{Image: facts(resp.GetImage())}
}

// pullImage pulls with each of the pod's credentials in turn, without any at
// last, until one works.
func (w *worker) pullImage(ctx context.Context, a plan.PullImage) plan.Result {
	cfg, err := w.sandboxConfig(0, false)
	if err != nil {
		return plan.Result{Err: failure(policy.ReasonPull, err)}
	}
	auths, err := w.credentials(ctx, a.Image)
	if err != nil {
		return plan.Result{Err: failure(policy.ReasonPull, err)}
	}
	began := time.Now()
	var errs []error
	for _, auth := range auths {
		ref, err := w.r.Images.PullImage(ctx, imageSpec(tagged(a.Image)), auth, cfg)
		if err != nil {
			errs = append(errs, plain(err))
			continue
		}
		took := time.Since(began)
		resp, err := w.r.Images.ImageStatus(ctx, imageSpec(ref), false)
		if err != nil {
			return plan.Result{Err: failure(policy.ReasonInspect, err)}
		}
		f := facts(resp.GetImage())
		f.Ref, f.PullDuration = ref, took
		return plan.Result{Image: f}
	}
	err = errs[0]
	if len(errs) > 1 {
		err = errors.Join(errs...)
	}
	return plan.Result{Err: &plan.Failure{Reason: policy.Failed(a.Image, err).Reason, Message: err.Error()}}
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

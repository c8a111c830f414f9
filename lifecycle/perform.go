package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/lifecycle/plan"
)

// perform carries out one action; it is the only place with effects. Hooks of
// the program wrap it.
func (w *worker) perform(ctx context.Context, a plan.Action) (res plan.Result) {
	ctx, end := w.r.span(ctx, w.pod(), a)
	defer func() { end(res.Err) }()
	for _, h := range w.r.Hooks {
		if err := h.Before(ctx, w.pod(), a); err != nil {
			return plan.Result{Err: failure("", err)}
		}
	}
	res = w.act(ctx, a)
	for _, h := range w.r.Hooks {
		h.After(ctx, w.pod(), res)
	}
	return res
}

func (w *worker) act(ctx context.Context, a plan.Action) plan.Result {
	var err error
	switch a := a.(type) {
	case plan.CheckImage:
		return w.checkImage(ctx, a)
	case plan.PullImage:
		return w.pullImage(ctx, a)
	case plan.CreateSandbox:
		return w.createSandbox(ctx, a)
	case plan.StartContainer:
		return w.startContainer(ctx, a)
	case plan.EnsureCgroup:
		err = w.ensureCgroup(ctx)
	case plan.RemoveCgroup:
		err = w.removeCgroup(ctx)
	case plan.SetUpVolumes:
		err = w.setUpVolumes(ctx)
	case plan.TearDownVolumes:
		err = w.tearDownVolumes(ctx)
	case plan.RunPostStart:
		err = w.postStart(ctx, a)
	case plan.RunPreStop:
		err = w.preStop(ctx, a)
	case plan.StopContainer:
		err = w.r.Runtime.StopContainer(ctx, a.ContainerID, int64(a.Timeout/time.Second))
	case plan.RemoveContainer:
		err = w.removeContainer(ctx, a)
	case plan.StopSandbox:
		err = w.r.Runtime.StopPodSandbox(ctx, a.ID)
	case plan.RemoveSandbox:
		err = w.r.Runtime.RemovePodSandbox(ctx, a.ID)
	default:
		err = fmt.Errorf("unknown action %T", a)
	}
	return plan.Result{Err: failure("", err)}
}

// failure turns an error into values. The error's own reason wins over the
// given one.
func failure(reason string, err error) *plan.Failure {
	if err == nil {
		return nil
	}
	var r interface {
		error
		Reason() string
	}
	if errors.As(err, &r) {
		reason = r.Reason()
	}
	return &plan.Failure{Reason: reason, Message: err.Error()}
}

// callFailure is failure with the message of a CRI call's status instead of the
// whole text, which would begin with "rpc error".
func callFailure(reason string, err error) *plan.Failure {
	f := failure(reason, err)
	if s, ok := status.FromError(err); ok && f != nil {
		f.Message = s.Message()
	}
	return f
}

func (w *worker) createSandbox(ctx context.Context, a plan.CreateSandbox) plan.Result {
	cfg, err := w.sandboxConfig(a.Attempt, true)
	if err != nil {
		return plan.Result{Err: failure("", err)}
	}
	if err := makeDir(cfg.LogDirectory, 0o755); err != nil {
		return plan.Result{Err: failure("", err)}
	}
	handler := ""
	if w.pod().Spec.RuntimeClassName != nil {
		handler = *w.pod().Spec.RuntimeClassName
	}
	id, err := w.r.Runtime.RunPodSandbox(ctx, cfg, handler)
	return plan.Result{ID: id, Err: failure("", err)}
}

func (w *worker) removeContainer(ctx context.Context, a plan.RemoveContainer) error {
	st, err := w.r.Runtime.ContainerStatus(ctx, a.ContainerID, false)
	if err != nil && !gone(err) {
		return err
	}
	if err := w.r.Runtime.RemoveContainer(ctx, a.ContainerID); err != nil {
		return err
	}
	return w.removeFiles(st.GetStatus(), a.KeepLog)
}

func (w *worker) ensureCgroup(ctx context.Context) error {
	path, values, err := w.cgroup()
	if err != nil {
		return err
	}
	w.setPresence(plan.EnsureCgroup{}.Key(), plan.Partial)
	if w.r.Cgroups != nil {
		if err := w.r.Cgroups.Ensure(ctx, path, values); err != nil {
			return err
		}
		if err := w.r.tiers(ctx); err != nil {
			return err
		}
	}
	w.setPresence(plan.EnsureCgroup{}.Key(), plan.Present)
	return nil
}

func (w *worker) removeCgroup(ctx context.Context) error {
	path, _, err := w.cgroup()
	if err != nil {
		return err
	}
	if w.r.Cgroups != nil {
		if err := w.r.Cgroups.Remove(ctx, path); err != nil {
			return err
		}
		if err := w.r.leaveTiers(ctx); err != nil {
			return err
		}
	}
	w.setPresence(plan.RemoveCgroup{}.Key(), plan.Absent)
	return nil
}

// imageSpec names an image to the runtime.
func imageSpec(image string) *runtimeapi.ImageSpec {
	return &runtimeapi.ImageSpec{Image: image, UserSpecifiedImage: image}
}

package lifecycle

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/lifepod/lifepod/lifecycle/plan"
	"github.com/lifepod/lifepod/lifecycle/podspec"
	"github.com/lifepod/lifepod/volume"
)

// setUpVolumes makes the pod's volumes ready. It is also how they are taken up
// again: what is ready stays.
func (w *worker) setUpVolumes(ctx context.Context) error {
	w.setPresence(plan.SetUpVolumes{}.Key(), plan.Partial)
	mounted, err := w.r.Volumes.SetUp(ctx, w.volumeRequest())
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.mounted = mounted
	w.mu.Unlock()
	w.setPresence(plan.SetUpVolumes{}.Key(), plan.Present)
	return nil
}

func (w *worker) volumeRequest() volume.Request {
	return volume.Request{Pod: w.pod(), Dir: string(w.dir), Objects: w.r.objects()}
}

func (w *worker) tearDownVolumes(ctx context.Context) error {
	if err := w.r.Volumes.TearDown(ctx, string(w.dir)); err != nil {
		return err
	}
	w.mu.Lock()
	w.mounted = nil
	w.mu.Unlock()
	w.setPresence(plan.TearDownVolumes{}.Key(), plan.Absent)
	return nil
}

// sources are the pod's volumes as a container's message wants them.
func (w *worker) sources() map[string]podspec.Source {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]podspec.Source{}
	for name, m := range w.mounted {
		out[name] = podspec.Source{HostPath: m.Path, ReadOnly: m.ReadOnly}
	}
	return out
}

// subPaths makes the container's subPaths ready.
func (w *worker) subPaths(ctx context.Context, c *corev1.Container, env []podspec.EnvVar) (map[int]string, error) {
	subs, err := podspec.SubPaths(c, env)
	if err != nil {
		return nil, err
	}
	out := map[int]string{}
	for i, sub := range subs {
		w.mu.Lock()
		m, ok := w.mounted[c.VolumeMounts[i].Name]
		w.mu.Unlock()
		if !ok {
			return nil, fmt.Errorf("cannot find volume %q to mount into container %q", c.VolumeMounts[i].Name, c.Name)
		}
		req := volume.SubPathRequest{Dir: string(w.dir), Volume: m, SubPath: sub, Container: c.Name, Index: i}
		if out[i], err = w.r.Volumes.SubPath(ctx, req); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// noObjects is for a runner that was given none: everything is absent.
type noObjects struct{}

func (noObjects) ConfigMap(_ context.Context, _, name string) (*corev1.ConfigMap, error) {
	return nil, apierrors.NewNotFound(corev1.Resource("configmaps"), name)
}

func (noObjects) Secret(_ context.Context, _, name string) (*corev1.Secret, error) {
	return nil, apierrors.NewNotFound(corev1.Resource("secrets"), name)
}

func (r *Runner) objects() volume.Objects {
	if r.Objects == nil {
		return noObjects{}
	}
	return r.Objects
}

// lookUp finds the named objects; those that are absent are left out.
func lookUp[T any](ctx context.Context, namespace string, names []string, get func(ctx context.Context, namespace, name string) (*T, error)) (map[string]*T, error) {
	out := map[string]*T{}
	for _, name := range names {
		o, err := get(ctx, namespace, name)
		if absent(err) {
			continue
		} else if err != nil {
			return nil, err
		}
		out[name] = o
	}
	return out, nil
}

func absent(err error) bool {
	var own interface{ NotFound() bool }
	return apierrors.IsNotFound(err) || errors.As(err, &own) && own.NotFound()
}

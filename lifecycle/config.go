package lifecycle

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/lifecycle/plan"
	"github.com/lifepod/lifepod/lifecycle/podcgroup"
	"github.com/lifepod/lifepod/lifecycle/podspec"
	"github.com/lifepod/lifepod/pod"
	"github.com/lifepod/lifepod/probe"
)

// sandboxConfig is the message that a sandbox is made from.
func (w *worker) sandboxConfig(attempt uint32, tell bool) (*runtimeapi.PodSandboxConfig, error) {
	in := podspec.SandboxInput{
		Pod: w.pod(), Attempt: attempt, LogRoot: w.r.LogDir, ClusterDomain: w.r.node.ClusterDomain,
	}
	var err error
	if in.DNS, err = w.dns(tell); err != nil {
		return nil, err
	}
	if w.r.Cgroups != nil {
		if in.CgroupParent, err = podcgroup.Path(w.pod(), w.r.Cgroup); err != nil {
			return nil, err
		}
	}
	return podspec.Sandbox(in)
}

func (w *worker) cgroup() (string, cgroups.Values, error) {
	path, err := podcgroup.Path(w.pod(), w.r.Cgroup)
	if err != nil {
		return "", cgroups.Values{}, err
	}
	return path, podcgroup.Values(w.pod(), w.r.Cgroup), nil
}

// tiers brings the QoS tiers' cgroups up to date with the pods that there are.
func (r *Runner) tiers(ctx context.Context) error {
	r.mu.Lock()
	var pods []*corev1.Pod
	for _, w := range r.workers {
		pods = append(pods, w.pod())
	}
	r.mu.Unlock()
	for _, t := range podcgroup.Tiers(pods, r.Cgroup) {
		if err := r.Cgroups.Ensure(ctx, t.Path, t.Values); err != nil {
			return err
		}
	}
	return nil
}

// leaveTiers has the tiers removed when their time has come.
func (r *Runner) leaveTiers(ctx context.Context) error {
	if r.TierLinger <= 0 {
		return r.pruneTiers(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.leaving || r.ctx.Err() != nil {
		return nil // Close does it
	}
	r.leaving = true
	r.wg.Go(func() {
		t := time.NewTimer(r.TierLinger)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.ctx.Done():
			return
		}
		r.mu.Lock()
		r.leaving = false
		needed := len(r.workers) > 0
		r.mu.Unlock()
		if needed {
			return
		}
		if err := r.pruneTiers(r.ctx); err != nil {
			r.log.Error(err, "remove the cgroups of the QoS tiers")
		}
	})
	return nil
}

// pruneTiers removes the tiers that no pod is in any more.
func (r *Runner) pruneTiers(ctx context.Context) error {
	for _, t := range podcgroup.Tiers(nil, r.Cgroup) {
		if err := r.Cgroups.Prune(ctx, t.Path); err != nil {
			return err
		}
	}
	return nil
}

// presences says how much of the pod's cgroup and volumes this runner has made.
type presences struct {
	mu sync.Mutex
	by map[plan.Key]plan.Presence
}

func (w *worker) presence(k plan.Key) plan.Presence {
	w.has.mu.Lock()
	defer w.has.mu.Unlock()
	return w.has.by[k]
}

func (w *worker) setPresence(k plan.Key, p plan.Presence) {
	w.has.mu.Lock()
	defer w.has.mu.Unlock()
	w.has.by[k] = p
}

// sandboxAttempt is the attempt of a sandbox that was observed.
func (w *worker) sandboxAttempt(id string) uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.boxes[id].Attempt
}

// record hands on an event about a pod.
func (r *Runner) record(p *corev1.Pod, e plan.Event) {
	if r.OnEvent != nil {
		r.OnEvent(p, e)
	}
}

// fieldPath is how an event names a container: "spec.containers{app}".
func fieldPath(p *corev1.Pod, name string) string {
	list := "containers"
	switch _, kind := pod.Find(&p.Spec, name); kind {
	case pod.Init:
		list = "initContainers"
	case pod.Ephemeral:
		list = "ephemeralContainers"
	}
	return fmt.Sprintf("spec.%s{%s}", list, name)
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }

func probeKind(k plan.ProbeKind) probe.Kind {
	switch k {
	case plan.Liveness:
		return probe.Liveness
	case plan.Readiness:
		return probe.Readiness
	}
	return probe.Startup
}

package lifecycle

import (
	"reflect"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/plan"
	"github.com/lifepod/lifepod/pod"
	"github.com/lifepod/lifepod/probe"
)

// probes keeps the one scheduler of all pods' probes in step with the plans, and
// what the probes have established.
type probes struct {
	r         *Runner
	scheduler *probe.Scheduler

	mu   sync.Mutex
	pods map[*worker]*podProbes
}

// podProbes are one pod's.
type podProbes struct {
	specs    []plan.ProbeSpec
	verdicts map[verdictKey]bool
}

type verdictKey struct {
	id   string
	kind plan.ProbeKind
}

func newProbes(r *Runner) *probes {
	return &probes{r: r, scheduler: probe.NewScheduler(probe.Options{}), pods: map[*worker]*podProbes{}}
}

func (p *probes) close() { _ = p.scheduler.Close() }

// set makes the pod's running probes those of specs.
func (p *probes) set(w *worker, specs []plan.ProbeSpec) {
	p.mu.Lock()
	own := p.pods[w]
	if own == nil {
		own = &podProbes{verdicts: map[verdictKey]bool{}}
		p.pods[w] = own
	}
	if reflect.DeepEqual(own.specs, specs) {
		p.mu.Unlock()
		return
	}
	old := own.specs
	own.specs = specs
	targets := map[string]probe.Target{}
	for _, s := range specs {
		t := targets[s.ContainerID]
		t.Start, t.Deliver = s.Since, func(e probe.Event) { p.answered(w, s.Container, e) }
		t.Probes = append(t.Probes, p.probe(w, own, s))
		targets[s.ContainerID] = t
	}
	for k := range own.verdicts {
		if _, on := targets[k.id]; !on {
			delete(own.verdicts, k)
		}
	}
	p.mu.Unlock()
	for _, s := range old {
		if _, on := targets[s.ContainerID]; !on {
			p.scheduler.Remove(s.ContainerID)
		}
	}
	for id, t := range targets {
		p.scheduler.Set(id, t)
	}
}

// probe makes the scheduler's probe of a plan's. A container that an earlier
// agent found started or ready stays so until a probe says otherwise.
func (p *probes) probe(w *worker, own *podProbes, s plan.ProbeSpec) probe.Probe {
	out := probe.Probe{
		Kind: probeKind(s.Kind), Prober: w.prober(w.spec(s.Container), s.ContainerID, s.Probe),
		InitialDelay: seconds(s.Probe.InitialDelaySeconds), Period: seconds(s.Probe.PeriodSeconds),
		SuccessThreshold: int(s.Probe.SuccessThreshold), FailureThreshold: int(s.Probe.FailureThreshold),
	}
	key := verdictKey{s.ContainerID, s.Kind}
	if _, known := own.verdicts[key]; !known && w.wasGood(s) {
		own.verdicts[key] = true
	}
	if own.verdicts[key] {
		out.Initial = probe.Good
	}
	return out
}

// wasGood says whether the last status, perhaps an earlier agent's, has this
// very instance started or ready.
func (w *worker) wasGood(s plan.ProbeSpec) bool {
	st := w.lastStatus()
	for _, list := range [][]corev1.ContainerStatus{st.InitContainerStatuses, st.ContainerStatuses} {
		c := pod.Status(list, s.Container)
		if c == nil || c.ContainerID != w.r.RuntimeName+"://"+s.ContainerID {
			continue
		}
		switch s.Kind {
		case plan.Readiness:
			return c.Ready
		case plan.Startup:
			return c.Started != nil && *c.Started
		}
	}
	return false
}

// answered records a probe's answer and wakes the pod when it decided something.
func (p *probes) answered(w *worker, container string, e probe.Event) {
	if reason, message := e.Report(); reason != "" {
		p.r.record(w.pod(), plan.Event{
			Type: corev1.EventTypeWarning, Reason: reason, Message: message, FieldPath: fieldPath(w.pod(), container),
		})
	}
	if !e.Decided {
		return
	}
	p.mu.Lock()
	own, key := p.pods[w], verdictKey{e.ID, plan.ProbeKind(e.Kind.String())}
	news := false
	if own != nil {
		was, known := own.verdicts[key]
		good := e.Result == probe.Good
		news = !known || was != good
		own.verdicts[key] = good
	}
	p.mu.Unlock()
	if news {
		w.poke()
	}
}

// verdicts are what the pod's probes have established so far.
func (p *probes) verdicts(w *worker) []plan.ProbeVerdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.pods[w]
	if own == nil {
		return nil
	}
	var out []plan.ProbeVerdict
	for _, s := range own.specs {
		if good, known := own.verdicts[verdictKey{s.ContainerID, s.Kind}]; known {
			out = append(out, plan.ProbeVerdict{ContainerID: s.ContainerID, Kind: s.Kind, OK: good})
		}
	}
	return out
}

// drop ends all probes of a pod that is no longer driven.
func (p *probes) drop(w *worker) {
	p.set(w, nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pods, w)
}

package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifepod/lifepod/lifecycle/lifecycletest"
	"github.com/lifepod/lifepod/pod"
)

// act is something that someone outside did to the pod while it was recorded.
// do returns the pod as it is from then on.
type act struct {
	at time.Duration
	do func(*lifecycletest.Node, *corev1.Pod) (*corev1.Pod, error)
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// script is what was done to the pod. A record says when it was deleted; the
// rest is read off what it led to.
func script(in *record) []act {
	acts := append(deletions(in), imageUpdates(in)...)
	acts = append(acts, gates(in)...)
	slices.SortStableFunc(acts, func(a, b act) int { return int(a.at - b.at) })
	return acts
}

// deletions are the pod's deletion and, if there was one, the second one. Their
// grace is not in the record:
//   - an object that is gone at once was deleted by force, with no grace;
//   - an object that is gone while a container is still being stopped was
//     deleted by force a second time;
//   - a generation that no deletion or update accounts for is a second deletion;
//     the recordings make it 3 s after the first one, with a grace of 3 s;
//   - else the grace is the pod's own, unless all stops were given less.
func deletions(in *record) []act {
	if in.Deleted == nil {
		return nil
	}
	at := *in.Deleted
	switch {
	case in.static():
		return []act{deletePod(at, nil)}
	case in.forced():
		return []act{deletePod(at, seconds(0))}
	case in.Gone != nil && *in.Gone < in.lastStop():
		return []act{deletePod(at, in.asked()), deletePod(*in.Gone, seconds(0))}
	case in.generations() > 2+int64(len(imageUpdates(in))):
		return []act{deletePod(at, in.asked()), deletePod(at+3000, seconds(3))}
	}
	return []act{deletePod(at, in.asked())}
}

func seconds(n int64) *time.Duration {
	d := time.Duration(n) * time.Second
	return &d
}

func deletePod(at int64, grace *time.Duration) act {
	return act{ms(at), func(n *lifecycletest.Node, p *corev1.Pod) (*corev1.Pod, error) {
		return p, n.Delete(p.UID, grace)
	}}
}

// forced says that the pod's object was gone as soon as it was deleted.
func (r *record) forced() bool {
	return !r.static() && r.Deleted != nil && r.Gone != nil && *r.Gone-*r.Deleted < 100 && *r.Gone < r.lastStop()
}

// published is until when a status could be published: an object that is gone
// has none, and a static pod that was removed is shown no more.
func (r *record) published() int64 {
	switch {
	case r.Deleted != nil && (r.static() || r.forced()):
		return *r.Deleted
	case r.Gone != nil && *r.Gone < r.lastStop():
		return *r.Gone
	}
	return forever
}

// lastStop is when the last stop of a container ended.
func (r *record) lastStop() int64 {
	var last int64
	for _, c := range r.Calls {
		if c.RPC == "StopContainer" {
			last = max(last, c.T, c.End)
		}
	}
	return last
}

func (r *record) generations() int64 {
	var g int64
	for _, s := range r.Statuses {
		g = max(g, s.Status.ObservedGeneration)
	}
	return g
}

// asked is the grace that the deletion named, nil for the pod's own: a stop gets
// what is left of it, in whole seconds and at least 2.
func (r *record) asked() *time.Duration {
	own := int64(30)
	if g := r.Pod.Spec.TerminationGracePeriodSeconds; g != nil {
		own = *g
	}
	most := int64(-1)
	for _, c := range r.Calls {
		given, ok := c.Fields["timeout"].(float64)
		if ok && c.RPC == "StopContainer" && c.T >= *r.Deleted {
			most = max(most, int64(given)+(c.T-*r.Deleted)/1000)
		}
	}
	switch {
	case most < 0 || most >= own:
		return nil
	case most <= 2:
		return seconds(1) // 1 and 2 are the same to a stop
	}
	return seconds(most)
}

// imageUpdates finds where a container is created from another image than the
// one before. The update came when the old instance was stopped, or else just
// before the new one.
func imageUpdates(in *record) []act {
	images := map[string]string{}
	for c := range pod.Containers(&in.Pod.Spec, pod.All) {
		images[c.Name] = c.Image
	}
	var out []act
	began := map[string]int64{} // the last sign of a change, by container
	for _, c := range in.Calls {
		switch c.RPC {
		case "StartContainer":
			delete(began, c.Container)
		case "StopContainer", "ImageStatus", "PullImage":
			if _, ok := began[c.Container]; !ok {
				began[c.Container] = c.T
			}
		case "CreateContainer":
			image, _ := c.Fields["image"].(string)
			if image == "" || image == images[c.Container] {
				continue
			}
			images[c.Container] = image
			at := c.T
			if t, ok := began[c.Container]; ok {
				at = t
			}
			out = append(out, setImage(in, at, c.Container, image))
		}
	}
	return out
}

func setImage(in *record, at int64, container, image string) act {
	return act{ms(at), func(n *lifecycletest.Node, p *corev1.Pod) (*corev1.Pod, error) {
		p = p.DeepCopy()
		c, _ := pod.Find(&p.Spec, container)
		c.Image = image
		if !in.static() {
			p.Generation++
			return p, n.Update(p)
		}
		// A changed manifest is another pod: the old one ends first.
		old := p.UID
		p.UID = types.UID("uid-" + strconv.FormatInt(at, 10))
		if err := n.Delete(old, nil); err != nil {
			return p, err
		}
		if err := n.Wait(context.Background(), old); err != nil {
			return p, err
		}
		return p, n.Start(p)
	}}
}

// gates finds where others set or changed a condition that the pod is gated by.
func gates(in *record) []act {
	var out []act
	for _, g := range in.Pod.Spec.ReadinessGates {
		var last corev1.ConditionStatus
		for _, s := range in.Statuses {
			c := pod.Condition(&s.Status, g.ConditionType)
			if c == nil || c.Status == last {
				continue
			}
			last = c.Status
			out = append(out, act{ms(s.T), func(n *lifecycletest.Node, p *corev1.Pod) (*corev1.Pod, error) {
				p = p.DeepCopy()
				p.Status.Conditions = slices.DeleteFunc(p.Status.Conditions, func(o corev1.PodCondition) bool { return o.Type == c.Type })
				p.Status.Conditions = append(p.Status.Conditions, *c)
				return p, n.Update(p)
			}})
		}
	}
	return out
}

// probeCommands are the exec probes' commands, as calls name them.
func (r *record) probeCommands() map[string]*corev1.Probe {
	out := map[string]*corev1.Probe{}
	for c := range pod.Containers(&r.Pod.Spec, pod.Main) {
		for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
			if p != nil && p.Exec != nil {
				out[c.Name+" "+strings.Join(p.Exec.Command, " ")] = p
			}
		}
	}
	return out
}

// probes are all probes of the pod.
func (r *record) probes() []*corev1.Probe {
	var out []*corev1.Probe
	for c := range pod.Containers(&r.Pod.Spec, pod.Main) {
		for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
			if p != nil {
				out = append(out, p)
			}
		}
	}
	return out
}

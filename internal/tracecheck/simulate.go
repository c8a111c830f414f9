package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/admission/defaults"
	"github.com/lifepod/lifepod/lifecycle"
	"github.com/lifepod/lifepod/lifecycle/lifecycletest"
	"github.com/lifepod/lifepod/pod"
)

// lateness is how much longer than the recording the simulation goes on, so that
// what the kubelet did last is not cut off in ours.
const lateness = 2 * time.Second

// simulate lets lifepod live the pod of a recording, on simulated time, and
// records it in the same form.
func simulate(t *testing.T, in *record) (out *record, err error) {
	t.Helper()
	out = &record{Name: in.Name, Source: in.Source, Pod: in.Pod}
	rt, err := scripted(in.Pod)
	if err != nil {
		return nil, err
	}
	synctest.Test(t, func(t *testing.T) {
		w := &watched{Runtime: rt, begun: time.Now(), out: out}
		n := lifecycletest.New(t, rt, func(o *lifecycle.Options) {
			o.Runtime, o.Images, o.OnStatus, o.OnEvent = w, w, w.onStatus, w.onEvent
			if in.static() {
				o.Node.HostIPs = nil // a kubelet without an API server knows no address
			}
		})
		err = w.live(t, n, in)
	})
	return out, err
}

// live starts the pod, does to it what was done, and waits for the end.
func (w *watched) live(t *testing.T, n *lifecycletest.Node, in *record) error {
	p := admitted(in)
	if err := n.Start(p); err != nil {
		return err
	}
	for _, act := range script(in) {
		time.Sleep(time.Until(w.begun.Add(act.at)))
		var err error
		if p, err = act.do(n, p); err != nil {
			return err
		}
		if w.out.Deleted == nil && in.Deleted != nil && w.now() >= *in.Deleted {
			w.awaitEnd(t, n, p)
		}
	}
	time.Sleep(time.Until(w.begun.Add(ms(in.end()) + lateness)))
	return nil
}

// scripted is the runtime that does what the pod's annotations say.
func scripted(p *corev1.Pod) (*lifecycletest.Runtime, error) {
	rt := &lifecycletest.Runtime{Scripts: map[string]lifecycletest.Script{}, ImageOf: imageOf(p)}
	for key, text := range p.Annotations {
		var into any
		var script lifecycletest.Script
		name, isContainer := strings.CutPrefix(key, "script/")
		switch {
		case isContainer:
			into = &script
		case key == "script.sandbox":
			into = &rt.Sandbox
		default:
			continue
		}
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(into); err != nil {
			return nil, fmt.Errorf("annotation %s: %w", key, err)
		}
		if isContainer {
			rt.Scripts[name] = script
		}
	}
	return rt, nil
}

// imageOf finds the container of an image: fake/<pod>/<container>:<tag> by its
// name, any other by the spec.
func imageOf(p *corev1.Pod) func(string) string {
	return func(image string) string {
		for c := range pod.Containers(&p.Spec, pod.All) {
			if c.Image == image {
				return c.Name
			}
		}
		name := image[strings.LastIndex(image, "/")+1:]
		name, _, _ = strings.Cut(name, ":")
		return name
	}
}

// admitted is the pod as the API server, the scheduler's binding included, would
// hand it to a kubelet; a static pod is what a kubelet makes of a manifest.
func admitted(in *record) *corev1.Pod {
	p := in.Pod.DeepCopy()
	defaults.Pod(p)
	if p.Namespace == "" {
		p.Namespace = "default"
	}
	p.UID, p.Generation = "uid-1", 1
	p.Spec.NodeName = "fake-node"
	p.Status.Phase, p.Status.QOSClass = corev1.PodPending, pod.QOS(p)
	if in.static() {
		if p.Annotations == nil {
			p.Annotations = map[string]string{}
		}
		p.Annotations["kubernetes.io/config.source"] = "file"
		p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute})
		return p
	}
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue})
	return p
}

// awaitEnd notes when the pod was deleted and when nothing is left of it.
func (w *watched) awaitEnd(t *testing.T, n *lifecycletest.Node, p *corev1.Pod) {
	at := w.now()
	w.out.Deleted = &at
	go func() {
		if n.Wait(t.Context(), p.UID) != nil {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		end := w.now()
		w.out.Gone = &end
	}()
}

package local

import (
	"bufio"
	"context"
	"encoding/json"
	"iter"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifepod/lifepod/lifecycle/plan"
	"github.com/lifepod/lifepod/store/typed/core"
)

// eventsMax bounds a pod's file of events; at that size the older half goes.
const eventsMax = 1 << 20

// onStatus tells the store and the readers of a handle.
func (n *Node) onStatus(p *corev1.Pod, s corev1.PodStatus) {
	q := p.DeepCopy()
	q.Status, q.ResourceVersion = s, ""
	if _, err := n.client.UpdateStatus(context.Background(), core.Pod, q, updateOptions); err != nil {
		n.o.Log.V(1).Info("store pod status", "pod", p.Name, "error", err.Error())
	}
	if d := n.driven(p.UID); d != nil {
		d.sawStatus(s) // first, so that who reads the status finds its timeline
		d.statuses.add(s)
	}
}

// onEvent keeps an event with its pod and tells the readers of a handle.
func (n *Node) onEvent(p *corev1.Pod, e plan.Event) {
	ev := n.event(corev1.ObjectReference{
		Kind: "Pod", APIVersion: "v1", Namespace: p.Namespace, Name: p.Name, UID: p.UID, FieldPath: e.FieldPath,
	}, e.Type, e.Reason, e.Message)
	ev.Namespace = p.Namespace
	if err := appendEvent(n.eventsFile(p.UID), ev); err != nil {
		n.o.Log.V(1).Info("keep event", "pod", p.Name, "error", err.Error())
	}
	if d := n.driven(p.UID); d != nil {
		d.events.add(ev)
	}
}

func (n *Node) event(about corev1.ObjectReference, kind, reason, message string) corev1.Event {
	now := metav1.NewTime(time.Now())
	return corev1.Event{
		InvolvedObject: about, Type: kind, Reason: reason, Message: message, FirstTimestamp: now, LastTimestamp: now, Count: 1,
		Source: corev1.EventSource{Component: "lifepod", Host: n.name},
	}
}

// onNodeEvent tells of a warning about the node itself.
func (n *Node) onNodeEvent(reason, message string) {
	n.o.Log.Info(message, "type", corev1.EventTypeWarning, "reason", reason, "node", n.name)
	about := corev1.ObjectReference{Kind: "Node", APIVersion: "v1", Name: n.name, UID: types.UID(n.name)}
	n.events.add(n.event(about, corev1.EventTypeWarning, reason, message))
}

// Events yields the events of the node itself in this process, from the first on
// until Close or the end of ctx: images that could not be collected.
func (n *Node) Events(ctx context.Context) iter.Seq2[corev1.Event, error] {
	return n.events.all(ctx, false)
}

func (n *Node) eventsFile(uid types.UID) string { return filepath.Join(n.podDir(uid), "events.jsonl") }

func (n *Node) driven(uid types.UID) *driven {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pods[uid]
}

func appendEvent(file string, e corev1.Event) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && fi.Size() > eventsMax {
		if err := os.Rename(file, file+".old"); err != nil {
			return err
		}
	}
	_, err = f.Write(append(b, '\n'))
	return err
}

// readEvents reads a pod's events, equal ones counted as one at the place of the
// first.
func readEvents(file string) []corev1.Event {
	var out []corev1.Event
	at := map[[4]string]int{}
	for _, name := range []string{file + ".old", file} {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		for sc := bufio.NewScanner(f); sc.Scan(); {
			var e corev1.Event
			if json.Unmarshal(sc.Bytes(), &e) != nil {
				continue // a line that a crash cut short
			}
			key := [4]string{e.Type, e.Reason, e.Message, e.InvolvedObject.FieldPath}
			if i, seen := at[key]; seen {
				out[i].Count++
				out[i].LastTimestamp = e.LastTimestamp
				continue
			}
			at[key] = len(out)
			out = append(out, e)
		}
		f.Close()
	}
	return out
}

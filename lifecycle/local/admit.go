package local

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifepod/lifepod/admission"
	"github.com/lifepod/lifepod/lifecycle/podspec"
	"github.com/lifepod/lifepod/schedule"
	"github.com/lifepod/lifepod/schedule/framework"
	"github.com/lifepod/lifepod/store/typed"
	"github.com/lifepod/lifepod/store/typed/core"
)

// path is the way of every object into the store: the caller's plugins, the
// default ones, and at last what this node cannot honour, by name.
func (n *Node) path() *admission.Path {
	plugins := append(n.o.Admission[:len(n.o.Admission):len(n.o.Admission)], admission.Default()...)
	return &admission.Path{
		Plugins: append(plugins, admission.Plugin{Name: "Honoured", Validate: admission.ValidateFunc(n.honoured)}),
		Store: func(ctx context.Context, obj admission.Object) (admission.Object, error) {
			r, err := resourceOf(obj)
			if err != nil {
				return nil, err
			}
			if r.Plural == core.Pod.Plural {
				return n.client.Create(ctx, r, obj, createOptions)
			}
			return n.put(ctx, r, obj)
		},
	}
}

// honoured refuses the fields that would otherwise be ignored.
func (n *Node) honoured(_ context.Context, r *admission.Request) error {
	p, ok := r.Object.(*corev1.Pod)
	if !ok {
		return nil
	}
	errs := slices.Concat(podspec.Refused(p), n.blocks.volumes.Refused(p, false), schedule.Refused(p))
	if len(errs) > 0 {
		return &admission.InvalidError{Fields: errs}
	}
	return nil
}

// register puts this machine into the store as a node.
func (n *Node) register(ctx context.Context) error {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: map[string]string{
			corev1.LabelHostname: n.name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: goarch,
		}},
		Spec:   corev1.NodeSpec{Taints: n.o.Taints},
		Status: corev1.NodeStatus{Capacity: n.node.Capacity, Allocatable: n.node.Allocatable},
	}
	for k, v := range n.o.Labels {
		node.Labels[k] = v
	}
	_, err := n.client.Create(ctx, core.Node, node, createOptions)
	return err
}

// schedule finds the pod a node, which can only be this one, and binds it.
func (n *Node) schedule(ctx context.Context, p *corev1.Pod) (*corev1.Pod, error) {
	obj, err := n.client.Get(ctx, core.Node, "", n.name)
	if err != nil {
		return nil, err
	}
	others, err := n.records()
	if err != nil {
		return nil, err
	}
	var here []*schedule.Pod
	for _, rec := range others {
		if rec.holds() {
			here = append(here, framework.NewPod(rec.Pod))
		}
	}
	snapshot := schedule.Snapshot{Nodes: []*schedule.Node{framework.NewNode(obj.(*corev1.Node), here...)}}
	d, err := schedule.Default().Decide(snapshot, framework.NewPod(p), nil)
	if err != nil {
		return nil, fmt.Errorf("schedule pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	return n.bind(ctx, p, d.Node)
}

// bind is what a Binding does: the node's name and the condition PodScheduled.
func (n *Node) bind(ctx context.Context, p *corev1.Pod, node string) (*corev1.Pod, error) {
	bound, err := n.client.(*typed.Server).Modify(ctx, core.Pod, p.Namespace, p.Name, preconditions(p.UID), func(o typed.Object) error {
		p := o.(*corev1.Pod)
		p.Spec.NodeName = node
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{
			Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now(),
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return bound.(*corev1.Pod), nil
}

func preconditions(uid types.UID) *metav1.Preconditions { return &metav1.Preconditions{UID: &uid} }

// unstore takes a pod out of the store at once.
func (n *Node) unstore(ctx context.Context, p *corev1.Pod) error {
	zero := int64(0)
	err := n.client.Delete(context.WithoutCancel(ctx), core.Pod, p.Namespace, p.Name,
		metav1.DeleteOptions{GracePeriodSeconds: &zero, Preconditions: preconditions(p.UID)})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

package core

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/utils/ptr"

	"github.com/lifepod/lifepod/store/typed"
)

// The resources of this package, for typed.Client.
var (
	Pod = typed.Resource{
		Kind: corev1.SchemeGroupVersion.WithKind("Pod"), Plural: "pods", Namespaced: true,
		New: func() typed.Object { return new(corev1.Pod) },
		Split: func(o typed.Object) (any, any) {
			p := o.(*corev1.Pod)
			return &p.Spec, &p.Status
		},
		Fields: podFields,
		Grace:  podGrace,
	}
	Node = typed.Resource{
		Kind: corev1.SchemeGroupVersion.WithKind("Node"), Plural: "nodes",
		New: func() typed.Object { return new(corev1.Node) },
		Split: func(o typed.Object) (any, any) {
			n := o.(*corev1.Node)
			return nil, &n.Status // nodes have no generation
		},
		Fields: func(o typed.Object) fields.Set {
			return fields.Set{"spec.unschedulable": strconv.FormatBool(o.(*corev1.Node).Spec.Unschedulable)}
		},
	}
	ConfigMap = typed.Resource{
		Kind: corev1.SchemeGroupVersion.WithKind("ConfigMap"), Plural: "configmaps", Namespaced: true,
		New: func() typed.Object { return new(corev1.ConfigMap) },
	}
	Secret = typed.Resource{
		Kind: corev1.SchemeGroupVersion.WithKind("Secret"), Plural: "secrets", Namespaced: true,
		New: func() typed.Object { return new(corev1.Secret) },
		Fields: func(o typed.Object) fields.Set {
			return fields.Set{"type": string(o.(*corev1.Secret).Type)}
		},
	}
	Service = typed.Resource{
		Kind: corev1.SchemeGroupVersion.WithKind("Service"), Plural: "services", Namespaced: true,
		New: func() typed.Object { return new(corev1.Service) },
		Split: func(o typed.Object) (any, any) {
			return nil, &o.(*corev1.Service).Status
		},
		Fields: func(o typed.Object) fields.Set {
			s := o.(*corev1.Service)
			return fields.Set{"spec.clusterIP": s.Spec.ClusterIP, "spec.type": string(s.Spec.Type)}
		},
	}
	ServiceAccount = typed.Resource{
		Kind: corev1.SchemeGroupVersion.WithKind("ServiceAccount"), Plural: "serviceaccounts", Namespaced: true,
		New: func() typed.Object { return new(corev1.ServiceAccount) },
	}
	Namespace = typed.Resource{
		Kind: corev1.SchemeGroupVersion.WithKind("Namespace"), Plural: "namespaces",
		New: func() typed.Object { return new(corev1.Namespace) },
		Split: func(o typed.Object) (any, any) {
			return nil, &o.(*corev1.Namespace).Status
		},
		Fields: func(o typed.Object) fields.Set {
			return fields.Set{"status.phase": string(o.(*corev1.Namespace).Status.Phase)}
		},
	}
	Event = typed.Resource{
		Kind: corev1.SchemeGroupVersion.WithKind("Event"), Plural: "events", Namespaced: true,
		New:    func() typed.Object { return new(corev1.Event) },
		Fields: eventFields,
	}
)

// All returns every resource of this package.
func All() []typed.Resource {
	return []typed.Resource{Pod, Node, ConfigMap, Secret, Service, ServiceAccount, Namespace, Event}
}

func podFields(o typed.Object) fields.Set {
	p := o.(*corev1.Pod)
	set := fields.Set{
		"spec.nodeName":            p.Spec.NodeName,
		"spec.restartPolicy":       string(p.Spec.RestartPolicy),
		"spec.schedulerName":       p.Spec.SchedulerName,
		"spec.serviceAccountName":  p.Spec.ServiceAccountName,
		"spec.hostNetwork":         strconv.FormatBool(p.Spec.HostNetwork),
		"status.phase":             string(p.Status.Phase),
		"status.podIP":             p.Status.PodIP,
		"status.podIPs":            p.Status.PodIP,
		"status.nominatedNodeName": p.Status.NominatedNodeName,
	}
	if len(p.Status.PodIPs) > 0 {
		set["status.podIP"] = p.Status.PodIPs[0].IP
		set["status.podIPs"] = p.Status.PodIPs[0].IP
	}
	return set
}

func eventFields(o typed.Object) fields.Set {
	e := o.(*corev1.Event)
	source := e.Source.Component
	if source == "" {
		source = e.ReportingController
	}
	return fields.Set{
		"involvedObject.kind":            e.InvolvedObject.Kind,
		"involvedObject.namespace":       e.InvolvedObject.Namespace,
		"involvedObject.name":            e.InvolvedObject.Name,
		"involvedObject.uid":             string(e.InvolvedObject.UID),
		"involvedObject.apiVersion":      e.InvolvedObject.APIVersion,
		"involvedObject.resourceVersion": e.InvolvedObject.ResourceVersion,
		"involvedObject.fieldPath":       e.InvolvedObject.FieldPath,
		"reason":                         e.Reason,
		"reportingComponent":             e.ReportingController,
		"source":                         source,
		"type":                           e.Type,
	}
}

// podGrace is the grace of a pod's deletion: what the request says, else the
// pod's own; none for a pod that no node has taken, or that has ended.
func podGrace(o typed.Object, requested *int64) int64 {
	p := o.(*corev1.Pod)
	grace := ptr.Deref(p.Spec.TerminationGracePeriodSeconds, 0)
	if requested != nil {
		grace = *requested
	}
	switch {
	case p.Spec.NodeName == "", p.Status.Phase == corev1.PodFailed, p.Status.Phase == corev1.PodSucceeded:
		return 0
	case grace < 0:
		return 1
	}
	return grace
}

package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/store"
	"github.com/lifepod/lifepod/store/typed"
)

// Client is a typed.Server with what pods have besides: Bind. It is safe for
// concurrent use.
type Client struct {
	typed.Server
}

var _ typed.Client = (*Client)(nil)

// New returns a client over s.
func New(s store.Store) *Client { return &Client{Server: typed.Server{Store: s}} }

// Pods reads and writes pods through c.
func Pods(c typed.Client) typed.Of[*corev1.Pod] { return of[*corev1.Pod](c, Pod) }

// Nodes reads and writes nodes through c; they have no namespace.
func Nodes(c typed.Client) typed.Of[*corev1.Node] { return of[*corev1.Node](c, Node) }

// ConfigMaps reads and writes config maps through c.
func ConfigMaps(c typed.Client) typed.Of[*corev1.ConfigMap] {
	return of[*corev1.ConfigMap](c, ConfigMap)
}

// Secrets reads and writes secrets through c.
func Secrets(c typed.Client) typed.Of[*corev1.Secret] { return of[*corev1.Secret](c, Secret) }

// Services reads and writes services through c.
func Services(c typed.Client) typed.Of[*corev1.Service] { return of[*corev1.Service](c, Service) }

// ServiceAccounts reads and writes service accounts through c.
func ServiceAccounts(c typed.Client) typed.Of[*corev1.ServiceAccount] {
	return of[*corev1.ServiceAccount](c, ServiceAccount)
}

// Namespaces reads and writes namespaces through c.
func Namespaces(c typed.Client) typed.Of[*corev1.Namespace] {
	return of[*corev1.Namespace](c, Namespace)
}

// Events reads and writes events through c; see Recorder.
func Events(c typed.Client) typed.Of[*corev1.Event] { return of[*corev1.Event](c, Event) }

func of[T typed.Object](c typed.Client, r typed.Resource) typed.Of[T] {
	return typed.Of[T]{Client: c, Resource: r}
}

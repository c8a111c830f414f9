package validation

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// hooksAndProbes checks the handlers of a container that may have them.
func (c *podCheck) hooksAndProbes(at *field.Path, ctr *corev1.Container) {
	if l := ctr.Lifecycle; l != nil {
		c.hook(at.Child("lifecycle", "postStart"), l.PostStart)
		c.hook(at.Child("lifecycle", "preStop"), l.PreStop)
	}
	c.probe(at.Child("livenessProbe"), ctr.LivenessProbe)
	c.probe(at.Child("startupProbe"), ctr.StartupProbe)
	for name, p := range map[string]*corev1.Probe{"livenessProbe": ctr.LivenessProbe, "startupProbe": ctr.StartupProbe} {
		if p != nil && p.SuccessThreshold != 1 {
			c.invalid(at.Child(name, "successThreshold"), p.SuccessThreshold, "must be 1")
		}
	}
	c.probe(at.Child("readinessProbe"), ctr.ReadinessProbe)
	if p := ctr.ReadinessProbe; p != nil && p.TerminationGracePeriodSeconds != nil {
		c.invalid(at.Child("readinessProbe", "terminationGracePeriodSeconds"), p.TerminationGracePeriodSeconds, "must not be set for readinessProbes")
	}
}

func (c *podCheck) probe(at *field.Path, p *corev1.Probe) {
	if p == nil {
		return
	}
	c.handler(at, handler{exec: p.Exec, http: p.HTTPGet, tcp: p.TCPSocket, grpc: p.GRPC})
	c.nonNegative(at.Child("initialDelaySeconds"), int64(p.InitialDelaySeconds))
	c.nonNegative(at.Child("timeoutSeconds"), int64(p.TimeoutSeconds))
	c.nonNegative(at.Child("periodSeconds"), int64(p.PeriodSeconds))
	c.nonNegative(at.Child("successThreshold"), int64(p.SuccessThreshold))
	c.nonNegative(at.Child("failureThreshold"), int64(p.FailureThreshold))
	if g := p.TerminationGracePeriodSeconds; g != nil && *g <= 0 {
		c.invalid(at.Child("terminationGracePeriodSeconds"), *g, "must be greater than 0")
	}
}

func (c *podCheck) hook(at *field.Path, h *corev1.LifecycleHandler) {
	if h != nil {
		c.handler(at, handler{exec: h.Exec, http: h.HTTPGet, tcp: h.TCPSocket, sleep: h.Sleep})
	}
}

// handler is what a probe or hook does; one of its fields is to be set.
type handler struct {
	exec  *corev1.ExecAction
	http  *corev1.HTTPGetAction
	tcp   *corev1.TCPSocketAction
	grpc  *corev1.GRPCAction
	sleep *corev1.SleepAction
}

// handler checks the first action and forbids all others.
func (c *podCheck) handler(at *field.Path, h handler) {
	one := false
	try := func(name string, set bool, check func(at *field.Path)) {
		switch {
		case !set:
		case one:
			c.forbidden(at.Child(name), "may not specify more than 1 handler type")
		default:
			one = true
			check(at.Child(name))
		}
	}
	try("exec", h.exec != nil, func(at *field.Path) {
		if len(h.exec.Command) == 0 {
			c.required(at.Child("command"), "")
		}
	})
	try("httpGet", h.http != nil, func(at *field.Path) { c.httpGet(at, h.http) })
	try("tcpSocket", h.tcp != nil, func(at *field.Path) { c.port(at.Child("port"), h.tcp.Port) })
	try("grpc", h.grpc != nil, func(at *field.Path) { c.port(at.Child("port"), intstr.FromInt32(h.grpc.Port)) })
	try("sleep", h.sleep != nil, func(at *field.Path) {
		if g := c.spec.TerminationGracePeriodSeconds; g != nil && (h.sleep.Seconds < 0 || h.sleep.Seconds > *g) {
			c.invalid(at, h.sleep.Seconds, sprintf("must be non-negative and less than terminationGracePeriodSeconds (%d)", *g))
		}
	})
	if !one {
		c.required(at, "must specify a handler type")
	}
}

func (c *podCheck) httpGet(at *field.Path, h *corev1.HTTPGetAction) {
	c.need(at.Child("path"), h.Path)
	c.port(at.Child("port"), h.Port)
	oneOf(&c.report, at.Child("scheme"), h.Scheme, corev1.URISchemeHTTP, corev1.URISchemeHTTPS)
	for _, header := range h.HTTPHeaders {
		c.each(at.Child("httpHeaders"), header.Name, validation.IsHTTPHeaderName(header.Name))
	}
}

func (c *podCheck) port(at *field.Path, p intstr.IntOrString) {
	if p.Type == intstr.Int {
		c.each(at, p.IntValue(), validation.IsValidPortNum(p.IntValue()))
		return
	}
	c.each(at, p.StrVal, validation.IsValidPortName(p.StrVal))
}

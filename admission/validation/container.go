package validation

import (
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/lifepod/lifepod/pod"
)

// containers checks all three lists and what must be unique over them.
func (c *podCheck) containers(at *field.Path) {
	regular := at.Child("containers")
	if len(c.spec.Containers) == 0 {
		c.required(regular, "")
	}
	names, ports := unique{}, unique{}
	for i := range c.spec.Containers {
		ctr, here := &c.spec.Containers[i], regular.Index(i)
		c.container(here, ctr)
		if names.again(ctr.Name) {
			c.add(field.Duplicate(here.Child("name"), ctr.Name))
		}
		c.hooksAndProbes(here, ctr)
		c.restartRules(here, ctr)
		c.hostPorts(here.Child("ports"), ctr, ports)
	}
	for i := range c.spec.InitContainers {
		c.initContainer(at.Child("initContainers"), i, names)
	}
	for i := range c.spec.EphemeralContainers {
		c.ephemeralContainer(at.Child("ephemeralContainers").Index(i), &c.spec.EphemeralContainers[i], names)
	}
	if len(c.spec.EphemeralContainers) > 0 {
		c.forbidden(at.Child("ephemeralContainers"), "cannot be set on create")
	}
	c.fileKeyVolumes(at)
}

// hostPorts reports host ports that occur twice.
func (c *podCheck) hostPorts(at *field.Path, ctr *corev1.Container, seen unique) {
	for i, p := range ctr.Ports {
		if p.HostPort == 0 {
			continue
		}
		if key := sprintf("%s/%s/%d", p.Protocol, p.HostIP, p.HostPort); seen.again(key) {
			c.add(field.Duplicate(at.Index(i).Child("hostPort"), key))
		}
	}
}

func (c *podCheck) initContainer(list *field.Path, i int, names unique) {
	ctr, at := &c.spec.InitContainers[i], list.Index(i)
	c.container(at, ctr)
	if names[ctr.Name] {
		c.add(field.Duplicate(at.Child("name"), ctr.Name))
	} else if ctr.Name != "" {
		names[ctr.Name] = true
	}
	if ctr.RestartPolicy != nil {
		c.restartRules(at, ctr)
	} else if len(ctr.RestartPolicyRules) > 0 {
		c.required(at.Child("restartPolicy"), "must specify restartPolicy when restart rules are used")
	}
	// The path is the list's first entry, whichever it is: so Kubernetes says it.
	c.hostPorts(list.Index(0).Child("ports"), ctr, unique{})
	if pod.IsSidecar(ctr) {
		c.hooksAndProbes(at, ctr)
		return
	}
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"lifecycle", ctr.Lifecycle != nil}, {"livenessProbe", ctr.LivenessProbe != nil},
		{"readinessProbe", ctr.ReadinessProbe != nil}, {"startupProbe", ctr.StartupProbe != nil},
	} {
		if f.set {
			c.forbidden(at.Child(f.name), "may not be set for init containers without restartPolicy=Always")
		}
	}
	for j, p := range ctr.ResizePolicy {
		if p.RestartPolicy == corev1.RestartContainer {
			c.invalid(at.Child("resizePolicy").Index(j).Child("restartPolicy"), p.RestartPolicy,
				"must not be set to 'RestartContainer' for non-sidecar initContainers")
		}
	}
}

// ephemeralFields are the fields that an ephemeral container may not have, by
// their JSON names.
var ephemeralFields = []string{
	"ports", "resources", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle",
	"resizePolicy", "restartPolicy", "restartPolicyRules",
}

func (c *podCheck) ephemeralContainer(at *field.Path, e *corev1.EphemeralContainer, names unique) {
	const no = "cannot be set for an Ephemeral Container"
	c.container(at, (*corev1.Container)(&e.EphemeralContainerCommon))
	if names.again(e.Name) {
		c.add(field.Duplicate(at.Child("name"), e.Name))
	}
	if t := e.TargetContainerName; t != "" {
		if _, kind := pod.Find(c.spec, t); kind&pod.Main == 0 {
			c.add(field.NotFound(at.Child("targetContainerName"), t))
		}
	}
	v := reflect.ValueOf(e.EphemeralContainerCommon)
	for _, name := range ephemeralFields {
		if !v.FieldByName(strings.ToUpper(name[:1]) + name[1:]).IsZero() {
			c.forbidden(at.Child(name), no)
		}
	}
	for i, m := range e.VolumeMounts {
		if m.SubPath != "" {
			c.forbidden(at.Child("volumeMounts").Index(i).Child("subPath"), no)
		}
		if m.SubPathExpr != "" {
			c.forbidden(at.Child("volumeMounts").Index(i).Child("subPathExpr"), no)
		}
	}
}

// container checks what all kinds of containers have.
func (c *podCheck) container(at *field.Path, ctr *corev1.Container) {
	if c.need(at.Child("name"), ctr.Name) {
		c.label(at.Child("name"), ctr.Name)
	}
	c.need(at.Child("image"), ctr.Image)
	if strings.TrimSpace(ctr.Image) != ctr.Image {
		c.invalid(at.Child("image"), ctr.Image, "must not have leading or trailing whitespace")
	}
	needOneOf(&c.report, at.Child("terminationMessagePolicy"), ctr.TerminationMessagePolicy,
		corev1.TerminationMessageReadFile, corev1.TerminationMessageFallbackToLogsOnError)
	c.pullPolicy(at.Child("imagePullPolicy"), ctr.ImagePullPolicy)
	c.ports(at.Child("ports"), ctr.Ports)
	c.env(at.Child("env"), ctr.Env)
	c.envFrom(at.Child("envFrom"), ctr.EnvFrom)
	c.mounts(at.Child("volumeMounts"), ctr)
	c.devices(at.Child("volumeDevices"), ctr)
	c.requirements(at.Child("resources"), &ctr.Resources, containerResource)
	c.resizePolicy(at.Child("resizePolicy"), ctr.ResizePolicy)
	c.security(at.Child("securityContext"), ctr.SecurityContext)
}

func (r *report) pullPolicy(at *field.Path, p corev1.PullPolicy) {
	needOneOf(r, at, p, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)
}

func (c *podCheck) ports(at *field.Path, ports []corev1.ContainerPort) {
	names := unique{}
	for i, p := range ports {
		here := at.Index(i)
		if p.Name != "" {
			if msgs := validation.IsValidPortName(p.Name); len(msgs) > 0 {
				c.each(here.Child("name"), p.Name, msgs)
			} else if names.again(p.Name) {
				c.add(field.Duplicate(here.Child("name"), p.Name))
			}
		}
		if p.ContainerPort == 0 {
			c.required(here.Child("containerPort"), "")
		} else {
			c.each(here.Child("containerPort"), p.ContainerPort, validation.IsValidPortNum(int(p.ContainerPort)))
		}
		if p.HostPort != 0 {
			c.each(here.Child("hostPort"), p.HostPort, validation.IsValidPortNum(int(p.HostPort)))
		}
		needOneOf(&c.report, here.Child("protocol"), p.Protocol, corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)
	}
}

// Limits of restartPolicyRules.
const (
	maxRestartRules = 20
	maxExitCodes    = 255
)

func (c *podCheck) restartRules(at *field.Path, ctr *corev1.Container) {
	if p := ctr.RestartPolicy; p != nil {
		oneOf(&c.report, at.Child("restartPolicy"), *p,
			corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyNever, corev1.ContainerRestartPolicyOnFailure)
	} else if len(ctr.RestartPolicyRules) > 0 {
		c.required(at.Child("restartPolicy"), "must specify restartPolicy when restart rules are used")
	}
	at = at.Child("restartPolicyRules")
	if n := len(ctr.RestartPolicyRules); n > maxRestartRules {
		c.add(field.TooMany(at, n, maxRestartRules))
	}
	for i, rule := range ctr.RestartPolicyRules {
		here := at.Index(i)
		oneOf(&c.report, here.Child("action"), rule.Action,
			corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleActionRestartAllContainers)
		codes := here.Child("exitCodes")
		if rule.ExitCodes == nil {
			c.required(codes, "must be specified")
			continue
		}
		oneOf(&c.report, codes.Child("operator"), rule.ExitCodes.Operator,
			corev1.ContainerRestartRuleOnExitCodesOpIn, corev1.ContainerRestartRuleOnExitCodesOpNotIn)
		if n := len(rule.ExitCodes.Values); n > maxExitCodes {
			c.add(field.TooMany(codes.Child("values"), n, maxExitCodes))
		}
	}
}

func (c *podCheck) resizePolicy(at *field.Path, policies []corev1.ContainerResizePolicy) {
	seen := unique{}
	for i, p := range policies {
		if seen.again(string(p.ResourceName)) {
			c.add(field.Duplicate(at.Index(i), p.ResourceName))
		}
		needOneOf(&c.report, at, p.ResourceName, corev1.ResourceCPU, corev1.ResourceMemory)
		needOneOf(&c.report, at, p.RestartPolicy, corev1.NotRequired, corev1.RestartContainer)
		if c.spec.RestartPolicy == corev1.RestartPolicyNever && p.RestartPolicy != corev1.NotRequired {
			c.invalid(at, p.RestartPolicy, "must be 'NotRequired' when pod `restartPolicy` is 'Never'")
		}
	}
}

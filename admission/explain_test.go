package admission_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/lifepod/lifepod/admission"
)

// Changes are told as they would stand in a manifest.
func TestChangeTexts(t *testing.T) {
	no := false
	for want, change := range map[string]func(*corev1.Pod){
		"[spec.nodeName: a → b]":                          func(p *corev1.Pod) { p.Spec.NodeName = "b" },
		"[spec.securityContext: none → {}]":               func(p *corev1.Pod) { p.Spec.SecurityContext = &corev1.PodSecurityContext{} },
		"[spec.hostUsers: none → false]":                  func(p *corev1.Pod) { p.Spec.HostUsers = &no },
		"[spec.overhead[cpu]: none → 500m]":               func(p *corev1.Pod) { p.Spec.Overhead = corev1.ResourceList{"cpu": resource.MustParse("500m")} },
		"[spec.nodeName: a → none]":                       func(p *corev1.Pod) { p.Spec.NodeName = "" },
		`[spec.hostAliases: none → [{"ip":"192.0.2.1"}]]`: func(p *corev1.Pod) { p.Spec.HostAliases = []corev1.HostAlias{{IP: "192.0.2.1"}} },
	} {
		before := &corev1.Pod{Spec: corev1.PodSpec{NodeName: "a"}}
		after := before.DeepCopy()
		change(after)
		if got := fmt.Sprint(admission.Diff(before, after)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

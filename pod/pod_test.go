package pod

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func ptr[T any](v T) *T { return &v }

func list(kv ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(kv); i += 2 {
		l[corev1.ResourceName(kv[i])] = resource.MustParse(kv[i+1])
	}
	return l
}

func needs(requests, limits corev1.ResourceList) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: requests, Limits: limits}
}

// good is a Guaranteed pod with one container; tests change it.
func good() *corev1.Pod {
	all := list("cpu", "1", "memory", "1Gi")
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "web", Namespace: "team", UID: "12-34",
			Labels: map[string]string{"b": "2", "a": `q"`}, Annotations: map[string]string{"x.io/Note": "hi"},
		},
		Spec: corev1.PodSpec{
			NodeName: "n1", ServiceAccountName: "sa", RestartPolicy: corev1.RestartPolicyAlways,
			Containers: []corev1.Container{{Name: "main", Resources: needs(all, all)}},
		},
	}
}

func TestQOS(t *testing.T) {
	for name, c := range map[string]struct {
		mutate func(*corev1.Pod)
		want   corev1.PodQOSClass
	}{
		"equal":          {func(*corev1.Pod) {}, corev1.PodQOSGuaranteed},
		"nothing":        {func(p *corev1.Pod) { p.Spec.Containers[0].Resources = needs(nil, nil) }, corev1.PodQOSBestEffort},
		"no containers":  {func(p *corev1.Pod) { p.Spec.Containers = nil }, corev1.PodQOSBestEffort},
		"only gpu":       {func(p *corev1.Pod) { p.Spec.Containers[0].Resources = needs(list("gpu", "1"), list("gpu", "1")) }, corev1.PodQOSBestEffort},
		"only memory":    {func(p *corev1.Pod) { delete(p.Spec.Containers[0].Resources.Limits, "cpu") }, corev1.PodQOSBurstable},
		"limit above":    {func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Limits = list("cpu", "2", "memory", "1Gi") }, corev1.PodQOSBurstable},
		"a plain init":   {func(p *corev1.Pod) { p.Spec.InitContainers = []corev1.Container{{Name: "i"}} }, corev1.PodQOSBurstable},
		"ephemeral":      {func(p *corev1.Pod) { p.Spec.EphemeralContainers = make([]corev1.EphemeralContainer, 1) }, corev1.PodQOSGuaranteed},
		"empty pod":      {func(p *corev1.Pod) { p.Spec.Resources = &corev1.ResourceRequirements{} }, corev1.PodQOSGuaranteed},
		"pod level":      {func(p *corev1.Pod) { p.Spec.Resources = ptr(needs(list("cpu", "1"), list("cpu", "2"))) }, corev1.PodQOSBurstable},
		"pod level gpu":  {func(p *corev1.Pod) { p.Spec.Resources = ptr(needs(list("gpu", "1"), nil)) }, corev1.PodQOSGuaranteed},
		"status decides": {func(p *corev1.Pod) { p.Status.QOSClass = corev1.PodQOSBestEffort }, corev1.PodQOSBestEffort},
	} {
		p := good()
		c.mutate(p)
		if got := QOS(p); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestResources(t *testing.T) {
	p := good()
	p.Spec.Overhead = list("cpu", "100m", "memory", "10Mi")
	p.Spec.InitContainers = []corev1.Container{
		{Name: "side", RestartPolicy: ptr(corev1.ContainerRestartPolicyAlways), Resources: needs(list("cpu", "200m"), nil)},
		{Name: "init", Resources: needs(list("cpu", "3"), nil)},
	}
	for what, c := range map[string]struct {
		got  corev1.ResourceList
		want string
	}{
		"requests":            {Requests(p), "3300m"},
		"containers requests": {ContainersRequests(p), "3200m"},
		"limits":              {Limits(p), "1100m"},
		"containers limits":   {ContainersLimits(p), "1"},
		"in use":              {RequestsInUse(p), "3300m"},
	} {
		if got := c.got.Cpu().String(); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
	if LimitsDeclared(p, "cpu") {
		t.Error("init containers have no limit")
	}
	p.Spec.Resources = ptr(needs(nil, list("cpu", "4")))
	if !LimitsDeclared(p, "cpu") || LimitsDeclared(p, "memory") {
		t.Error("a pod-level limit binds the pod for its own resource only")
	}
	if q := ContainerLimit(p, &p.Spec.InitContainers[1], "cpu"); q.String() != "4" {
		t.Error("without its own limit the pod's binds a container, got", q.String())
	}
	if q := ContainerLimit(p, &p.Spec.Containers[0], "cpu"); q.String() != "1" {
		t.Error("its own limit comes first, got", q.String())
	}
}

// Quantities beyond an int64 share their digits: adding must not write to the pod.
func TestSumsLeaveThePodAlone(t *testing.T) {
	const huge = "18446744073709551614"
	p := good()
	p.Spec.Overhead = list("memory", "1Gi")
	p.Spec.Resources = ptr(needs(list("memory", huge), list("memory", huge)))
	Requests(p)
	Limits(p)
	for what, l := range map[string]corev1.ResourceList{"requests": p.Spec.Resources.Requests, "limits": p.Spec.Resources.Limits} {
		if l.Memory().Cmp(resource.MustParse(huge)) != 0 {
			t.Errorf("%s are now %s", what, l.Memory())
		}
	}
}

func TestRestart(t *testing.T) {
	rule := func(a corev1.ContainerRestartRuleAction, op corev1.ContainerRestartRuleOnExitCodesOperator, codes ...int32) corev1.ContainerRestartRule {
		return corev1.ContainerRestartRule{Action: a, ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: op, Values: codes}}
	}
	const again, all = corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleActionRestartAllContainers
	const in, notIn = corev1.ContainerRestartRuleOnExitCodesOpIn, corev1.ContainerRestartRuleOnExitCodesOpNotIn
	never := ptr(corev1.ContainerRestartPolicyNever)
	for name, c := range map[string]struct {
		pod        corev1.RestartPolicy
		c          corev1.Container
		exit       int32
		want, ever bool
	}{
		"always":            {"Always", corev1.Container{}, 0, true, true},
		"on failure, 0":     {"OnFailure", corev1.Container{}, 0, false, true},
		"on failure, 1":     {"OnFailure", corev1.Container{}, 1, true, true},
		"never":             {"Never", corev1.Container{}, 1, false, false},
		"none":              {"", corev1.Container{}, 0, true, true},
		"own never":         {"Always", corev1.Container{RestartPolicy: never}, 1, false, false},
		"rule in":           {"Never", corev1.Container{RestartPolicy: never, RestartPolicyRules: []corev1.ContainerRestartRule{rule(again, in, 42)}}, 42, true, true},
		"rule not in":       {"Never", corev1.Container{RestartPolicy: never, RestartPolicyRules: []corev1.ContainerRestartRule{rule(again, notIn, 42)}}, 42, false, true},
		"rule all":          {"Never", corev1.Container{RestartPolicy: never, RestartPolicyRules: []corev1.ContainerRestartRule{rule(all, notIn, 42)}}, 1, true, false},
		"rules need policy": {"Never", corev1.Container{RestartPolicyRules: []corev1.ContainerRestartRule{rule(again, in, 42)}}, 42, false, false},
		"first rule counts": {"Never", corev1.Container{RestartPolicy: never, RestartPolicyRules: []corev1.ContainerRestartRule{rule("Other", in, 42), rule(again, in, 42)}}, 42, false, true},
		"rule without code": {"Never", corev1.Container{RestartPolicy: never, RestartPolicyRules: []corev1.ContainerRestartRule{{Action: again}}}, 42, false, true},
	} {
		spec := &corev1.PodSpec{RestartPolicy: c.pod, Containers: []corev1.Container{c.c}}
		if got := ShouldRestart(spec, &c.c, c.exit); got != c.want {
			t.Errorf("%s: restart %v, want %v", name, got, c.want)
		}
		if got := Restartable(spec, &c.c); got != c.ever {
			t.Errorf("%s: restartable %v, want %v", name, got, c.ever)
		}
		if got := MayRestartAll(spec); got != (name == "rule all") {
			t.Errorf("%s: MayRestartAll %v", name, got)
		}
	}
}

func TestContainers(t *testing.T) {
	spec := &corev1.PodSpec{
		Containers: []corev1.Container{{Name: "a"}, {Name: "b"}},
		InitContainers: []corev1.Container{
			{Name: "i"}, {Name: "s", RestartPolicy: ptr(corev1.ContainerRestartPolicyAlways)},
		},
		EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e"}}},
	}
	var got []string
	for c, k := range Containers(spec, All) {
		got = append(got, fmt.Sprint(c.Name, k))
	}
	if want := []string{"i1", "s1", "a2", "b2", "e4"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for range Containers(spec, All) {
		break // must not go on after this
	}
	if c, k := Find(spec, "e"); c == nil || c.Name != "e" || k != Ephemeral {
		t.Error(c, k)
	}
	if c, k := Find(spec, "zzz"); c != nil || k != 0 {
		t.Error(c, k)
	}
	if !HasSidecars(spec) || IsSidecar(&spec.InitContainers[0]) || IsSidecar(nil) {
		t.Error("sidecars")
	}
}

func TestFieldValue(t *testing.T) {
	p := good()
	a := Addresses{HostIPs: []string{"10.0.0.1", "fd00::1"}, PodIPs: []string{"10.1.0.2", "fd01::2"}}
	for path, want := range map[string]string{
		"metadata.name": "web", "metadata.namespace": "team", "metadata.uid": "12-34",
		"metadata.labels": "a=\"q\\\"\"\nb=\"2\"", "metadata.labels['b']": "2", "metadata.labels['none']": "",
		"metadata.annotations['x.io/Note']": "hi", "metadata.annotations": `x.io/Note="hi"`,
		"spec.nodeName": "n1", "spec.host": "n1", "spec.serviceAccountName": "sa",
		"status.hostIP": "10.0.0.1", "status.hostIPs": "10.0.0.1,fd00::1", "status.podIP": "10.1.0.2", "status.podIPs": "10.1.0.2,fd01::2",
	} {
		got, err := FieldValue(p, &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}, a)
		if got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", path, got, err, want)
		}
	}
	for path, want := range map[string]string{
		"status.phase":            "unsupported fieldPath: status.phase",
		"spec.containers":         "field label not supported: spec.containers",
		"metadata.x":              "field label not supported: metadata.x",
		"spec.x['y']":             "field label does not support subscript: spec.x['y']",
		"metadata.labels['a b']":  "invalid key subscript in metadata.labels['a b']: ",
		"metadata.annotations['/": "field label not supported: metadata.annotations['/",
	} {
		_, err := FieldValue(p, &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}, a)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if _, err := FieldValue(p, &corev1.ObjectFieldSelector{APIVersion: "v2", FieldPath: "metadata.name"}, a); err == nil {
		t.Error("version v2 was taken")
	}
	if _, err := FieldValue(p, &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "status.hostIP"}, Addresses{}); err == nil {
		t.Error("a host without address was taken")
	}
	if v, err := FieldValue(p, &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "status.podIP"}, Addresses{}); v != "" || err != nil {
		t.Error(v, err)
	}
}

func TestResourceValues(t *testing.T) {
	p := good()
	p.Spec.Containers[0].Resources = needs(list("cpu", "1500m", "hugepages-2Mi", "4Mi"), list("memory", "64Mi"))
	p.Spec.InitContainers = []corev1.Container{{Name: "init"}}
	node := list("cpu", "8", "memory", "32Gi", "ephemeral-storage", "100Gi")
	for _, c := range []struct{ container, resource, divisor, env, volume string }{
		{"", "requests.cpu", "0", "2", ""},
		{"", "requests.cpu", "1m", "1500", ""},
		{"main", "limits.memory", "1Mi", "64", "64"},
		{"main", "limits.memory", "60Mi", "2", "2"},
		{"main", "limits.cpu", "1", "4", "8"},
		{"main", "limits.ephemeral-storage", "1Gi", "100", "100"},
		{"main", "requests.hugepages-2Mi", "1Mi", "4", "4"},
		{"main", "limits.hugepages-2Mi", "1Mi", "0", "0"},
		{"init", "limits.cpu", "1", "0", "8"},
		{"main", "requests.memory", "1", "0", "0"},
		{"main", "requests.gpu", "1", "error", "error"},
		{"main", "cpu", "1", "error", "error"},
		{"main", "used.cpu", "1", "error", "error"},
		{"none", "requests.cpu", "1", "error", "error"},
	} {
		p.Spec.Resources = ptr(needs(nil, list("cpu", "4")))
		sel := &corev1.ResourceFieldSelector{ContainerName: c.container, Resource: c.resource, Divisor: resource.MustParse(c.divisor)}
		check := func(what, got string, err error, want string) {
			if want == "error" && err == nil || want != "error" && (err != nil || got != want) {
				t.Errorf("%s of %q %s / %s: %q, %v; want %s", what, c.container, c.resource, c.divisor, got, err, want)
			}
		}
		got, err := EnvResourceValue(p, &p.Spec.Containers[0], sel, node)
		check("env", got, err, c.env)
		if c.volume != "" {
			got, err := VolumeResourceValue(p, sel, node)
			check("volume", got, err, c.volume)
		}
	}
}

func TestHostname(t *testing.T) {
	long := strings.Repeat("a", 62) + "-b"
	for name, c := range map[string]struct {
		mutate       func(*corev1.PodSpec)
		host, domain string
	}{
		"name":       {func(*corev1.PodSpec) {}, "web", ""},
		"hostname":   {func(s *corev1.PodSpec) { s.Hostname = "h" }, "h", ""},
		"subdomain":  {func(s *corev1.PodSpec) { s.Subdomain = "sub" }, "web", "sub.team.svc.cluster.local"},
		"override":   {func(s *corev1.PodSpec) { s.HostnameOverride, s.Subdomain = ptr("a.b"), "sub" }, "a.b", ""},
		"long":       {func(s *corev1.PodSpec) { s.HostnameOverride = &long }, strings.Repeat("a", 62), ""},
		"bad":        {func(s *corev1.PodSpec) { s.Hostname = "A_" }, "error", ""},
		"bad sub":    {func(s *corev1.PodSpec) { s.Subdomain = "A_" }, "error", ""},
		"bad instad": {func(s *corev1.PodSpec) { s.HostnameOverride = ptr("A_") }, "error", ""},
	} {
		p := good()
		c.mutate(&p.Spec)
		host, domain, err := Hostname(p, "cluster.local")
		if c.host == "error" && err == nil || c.host != "error" && (host != c.host || domain != c.domain || err != nil) {
			t.Errorf("%s: %q %q %v", name, host, domain, err)
		}
	}
	p := good()
	if n, err := Nodename(p, "h", "d"); n != "h" || err != nil {
		t.Error(n, err)
	}
	p.Spec.SetHostnameAsFQDN = ptr(true)
	if n, err := Nodename(p, "h", "d"); n != "h.d" || err != nil {
		t.Error(n, err)
	}
	if _, err := Nodename(p, strings.Repeat("h", 60), "d.e.f"); err == nil || !strings.Contains(err.Error(), "64 characters is the max, 66 characters requested") {
		t.Error(err)
	}
}

func TestPriority(t *testing.T) {
	p, q := good(), good()
	if Priority(p) != 0 || IsCritical(p) || Preemptable(p, q) {
		t.Error("a pod without priority")
	}
	p.Spec.Priority = ptr(SystemCriticalPriority)
	p.Spec.PriorityClassName = SystemNodeCritical
	if !IsCritical(p) || !IsNodeCritical(p) || !Preemptable(p, q) || Preemptable(q, p) {
		t.Error("a critical pod")
	}
	p.Spec.Priority, q.Spec.Priority = ptr[int32](2), ptr[int32](1)
	if IsNodeCritical(p) || !Preemptable(p, q) || Preemptable(q, p) {
		t.Error("the higher priority wins, the class name alone is nothing")
	}
	q.Annotations = map[string]string{"kubernetes.io/config.source": "file"}
	if !IsStatic(q) || !IsCritical(q) {
		t.Error("a static pod")
	}
	q.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
	if IsStatic(q) || !IsMirror(q) || !IsCritical(q) {
		t.Error("a mirror pod")
	}
}

func TestRefs(t *testing.T) {
	p := good()
	name := func(n string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: n} }
	p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{name("pull"), name("")}
	p.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{
		{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: name("from")}}, {ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: name("cfrom")}},
	}
	p.Spec.Containers[0].Env = []corev1.EnvVar{
		{Name: "plain"},
		{ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: name("key")}}},
		{ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: name("ckey")}}},
	}
	p.Spec.Volumes = []corev1.Volume{
		{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "vol"}}},
		{VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: name("cvol")}}},
		{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{Secret: &corev1.SecretProjection{LocalObjectReference: name("proj")}}, {ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: name("cproj")}},
		}}}},
		{VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{NodePublishSecretRef: ptr(name("csi"))}}},
		{VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	if got := slices.Collect(Secrets(&p.Spec)); !slices.Equal(got, []string{"pull", "from", "key", "vol", "proj", "csi"}) {
		t.Error(got)
	}
	if got := slices.Collect(ConfigMaps(&p.Spec)); !slices.Equal(got, []string{"cfrom", "ckey", "cvol", "cproj"}) {
		t.Error(got)
	}
	for range Secrets(&p.Spec) {
		break // must not go on after this
	}
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"$(A)", "$$(A)", "$", "$(", "$x$(A)", "$(é)", "$\xff("} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := Expand(s, Lookup()); !strings.Contains(s, "$") && got != s {
			t.Fatalf("%q became %q", s, got)
		}
		if got := Expand(strings.ReplaceAll(s, "$", "$$"), Lookup(map[string]string{"A": "x"})); got != s && s != "" && !strings.HasSuffix(s, "$") {
			t.Fatalf("doubling every $ of %q does not protect it: %q", s, got)
		}
	})
}

func FuzzMetadataValue(f *testing.F) {
	f.Add("metadata.labels['a']")
	f.Add("['']")
	f.Fuzz(func(t *testing.T, path string) {
		p := good()
		if _, err := MetadataValue(p, path); err == nil && !strings.HasPrefix(path, "metadata.") {
			t.Fatalf("%q has a value", path)
		}
	})
}

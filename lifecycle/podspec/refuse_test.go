package podspec

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// honoured says who honours a field. A field that is in neither table fails the
// test: a new version of the API cannot bring one that is ignored in silence.
// A struct or list that is named here is not looked into.
var honoured = map[string]string{
	"volumes": "volume.Manager.Refused", "restartPolicy": "plan", "terminationGracePeriodSeconds": "plan", "activeDeadlineSeconds": "plan",
	"dnsPolicy": "netns/dns", "dnsConfig": "netns/dns", "imagePullSecrets": "image/credentials", "readinessGates": "plan",
	"nodeSelector": "schedule", "nodeName": "schedule", "affinity": "schedule", "schedulerName": "schedule", "tolerations": "schedule",
	"topologySpreadConstraints": "schedule", "schedulingGates": "schedule", "priorityClassName": "schedule", "priority": "schedule, podcgroup",
	"preemptionPolicy": "schedule", "overhead": "podcgroup", "resources.limits": "podcgroup", "resources.requests": "podcgroup",
	"serviceAccountName": "env", "serviceAccount": "the old name of serviceAccountName", "hostNetwork": "Namespaces", "hostPID": "Namespaces",
	"hostIPC": "Namespaces", "shareProcessNamespace": "Namespaces", "hostname": "Sandbox", "subdomain": "Sandbox", "hostnameOverride": "Sandbox",
	"setHostnameAsFQDN": "Sandbox", "hostAliases": "HostsFile", "enableServiceLinks": "Env",
	"securityContext.runAsUser": "Container", "securityContext.runAsGroup": "Container", "securityContext.runAsNonRoot": "Container",
	"securityContext.supplementalGroups": "Container", "securityContext.supplementalGroupsPolicy": "Container", "securityContext.fsGroup": "volume",
	"securityContext.fsGroupChangePolicy": "volume: the types there are ask for no policy, as in the kubelet",
	"securityContext.sysctls":             "Sandbox", "securityContext.seccompProfile": "Container", "securityContext.appArmorProfile": "Container",

	"containers[].name": "Container", "containers[].image": "Container", "containers[].command": "Container", "containers[].args": "Container",
	"containers[].workingDir": "Container", "containers[].ports": "Sandbox, probes", "containers[].envFrom": "Env", "containers[].env[].name": "Env",
	"containers[].env[].value": "Env", "containers[].env[].valueFrom.fieldRef": "Env", "containers[].env[].valueFrom.resourceFieldRef": "Env",
	"containers[].env[].valueFrom.configMapKeyRef": "Env", "containers[].env[].valueFrom.secretKeyRef": "Env",
	"containers[].resources.requests": "podcgroup", "containers[].resources.limits": "podcgroup, and see TestRefusedByValue",
	"containers[].resizePolicy":  "nothing resizes",
	"containers[].restartPolicy": "plan", "containers[].restartPolicyRules": "plan",
	"containers[].volumeMounts[].name": "Container", "containers[].volumeMounts[].readOnly": "Container", "containers[].volumeMounts[].recursiveReadOnly": "Container",
	"containers[].volumeMounts[].mountPath": "Container", "containers[].volumeMounts[].subPath": "Container", "containers[].volumeMounts[].subPathExpr": "Container",
	"containers[].volumeMounts[].mountPropagation": "Container",
	"containers[].terminationMessagePath":          "Container", "containers[].terminationMessagePolicy": "plan", "containers[].imagePullPolicy": "image/policy",
	"containers[].stdin": "Container", "containers[].stdinOnce": "Container", "containers[].tty": "Container",
	"containers[].securityContext.capabilities": "Container", "containers[].securityContext.privileged": "Container",
	"containers[].securityContext.runAsUser": "Container", "containers[].securityContext.runAsGroup": "Container", "containers[].securityContext.runAsNonRoot": "Container",
	"containers[].securityContext.readOnlyRootFilesystem": "Container", "containers[].securityContext.allowPrivilegeEscalation": "Container",
	"containers[].securityContext.procMount": "Container", "containers[].securityContext.seccompProfile": "Container", "containers[].securityContext.appArmorProfile": "Container",
}

func init() {
	for _, probe := range []string{"livenessProbe", "readinessProbe", "startupProbe"} {
		for _, f := range []string{
			"exec", "httpGet.path", "httpGet.port", "httpGet.host", "httpGet.scheme", "httpGet.httpHeaders", "tcpSocket", "grpc.port", "grpc.service",
			"initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold", "terminationGracePeriodSeconds",
		} {
			honoured["containers[]."+probe+"."+f] = "probe"
		}
	}
	for _, hook := range []string{"postStart", "preStop"} {
		for _, f := range []string{"exec", "httpGet.path", "httpGet.port", "httpGet.host", "httpGet.scheme", "httpGet.httpHeaders", "sleep"} {
			honoured["containers[].lifecycle."+hook+"."+f] = "hooks"
		}
	}
}

// refused are the fields that Refused must name when they are set.
var refused = []string{
	"ephemeralContainers", "automountServiceAccountToken", "runtimeClassName", "hostUsers", "resourceClaims", "schedulingGroup", "evictionResponders",
	"resources.claims", "os.name", "securityContext.seLinuxOptions", "securityContext.windowsOptions", "securityContext.seLinuxChangePolicy",
	"containers[].volumeDevices", "containers[].resources.claims", "containers[].env[].valueFrom.fileKeyRef", "containers[].volumeMounts[].bindMountOptions",
	"containers[].securityContext.seLinuxOptions", "containers[].securityContext.windowsOptions", "containers[].lifecycle.stopSignal",
	"containers[].lifecycle.postStart.tcpSocket", "containers[].lifecycle.preStop.tcpSocket",
	"containers[].lifecycle.postStart.httpGet.protocol", "containers[].lifecycle.preStop.httpGet.protocol",
	"containers[].livenessProbe.httpGet.protocol", "containers[].readinessProbe.httpGet.protocol", "containers[].startupProbe.httpGet.protocol",
	"containers[].livenessProbe.grpc.mode", "containers[].readinessProbe.grpc.mode", "containers[].startupProbe.grpc.mode",
}

// walk calls leaf with the path of every field of t that a table names or that
// cannot be looked into, and with what sets that field in a value of t.
func walk(t reflect.Type, path string, set func() reflect.Value, leaf func(path string, set func() reflect.Value)) {
	_, known := honoured[path]
	if known || slices.Contains(refused, path) {
		leaf(path, set)
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		walk(t.Elem(), path, func() reflect.Value {
			v := set()
			if v.IsNil() {
				v.Set(reflect.New(t.Elem()))
			}
			return v.Elem()
		}, leaf)
	case reflect.Slice:
		walk(t.Elem(), path+"[]", func() reflect.Value {
			v := set()
			if v.Len() == 0 {
				v.Set(reflect.MakeSlice(t, 1, 1))
			}
			return v.Index(0)
		}, leaf)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			at := strings.TrimPrefix(path+"."+name, ".")
			if name == "" {
				at = path // embedded
			}
			walk(f.Type, at, func() reflect.Value { return set().Field(i) }, leaf)
		}
	default:
		leaf(path, set)
	}
}

// fill makes v anything but zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		if v.Type().Elem().Kind() != reflect.Struct {
			fill(v.Index(0))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem())
	case reflect.String:
		v.SetString("other")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[intstr.IntOrString]() {
			v.Set(reflect.ValueOf(intstr.FromInt32(1)))
		}
	default:
		panic("fill " + v.Kind().String())
	}
}

// special are the values that a refused field needs to be refused.
func special(path string, v reflect.Value) bool {
	if path == "automountServiceAccountToken" {
		v.Set(reflect.ValueOf(ptr(true)))
		return true
	}
	return false
}

func ptr[T any](v T) *T { return &v }

func TestEveryFieldIsHonouredOrRefused(t *testing.T) {
	seen := map[string]bool{}
	walk(reflect.TypeFor[corev1.PodSpec](), "", nil, func(path string, _ func() reflect.Value) {
		if strings.HasPrefix(path, "initContainers") {
			return // the same type as containers, the same rules
		}
		seen[path] = true
		_, ok := honoured[path]
		if ok == slices.Contains(refused, path) {
			t.Errorf("%s: in both tables or in none: honour it, or refuse it by name", path)
		}
	})
	for path := range honoured {
		if !seen[path] {
			t.Errorf("%s is said to be honoured, but there is no such field", path)
		}
	}
}

func TestRefusedNamesTheField(t *testing.T) {
	found := 0
	walk(reflect.TypeFor[corev1.PodSpec](), "", nil, func(path string, _ func() reflect.Value) { found++ })
	for _, list := range []string{"containers", "initContainers"} {
		pod := &corev1.Pod{}
		root := func() reflect.Value { return reflect.ValueOf(&pod.Spec).Elem() }
		walk(reflect.TypeFor[corev1.PodSpec](), "", root, func(path string, set func() reflect.Value) {
			if strings.HasPrefix(path, "initContainers") {
				return
			}
			*pod = corev1.Pod{}
			if v := set(); !special(path, v) {
				fill(v)
			}
			if list == "initContainers" {
				if !strings.HasPrefix(path, "containers") {
					return
				}
				pod.Spec.InitContainers, pod.Spec.Containers = pod.Spec.Containers, nil
			}
			var want []string
			if slices.Contains(refused, path) {
				want = []string{"spec." + strings.ReplaceAll(strings.Replace(path, "containers", list, 1), "[]", "[0]")}
			}
			if !strings.HasPrefix(path, "containers") && want != nil {
				want = []string{"spec." + path}
			}
			var got []string
			for _, e := range Refused(pod) {
				got = append(got, e.Field)
				if e.Detail == "" || e.Type != "FieldValueForbidden" {
					t.Errorf("%s: %v says not what to do", path, e)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s set: refused %v, want %v", path, got, want)
			}
		})
	}
	if found < 150 {
		t.Errorf("only %d fields were seen", found)
	}
}

func TestRefusedByValue(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(s *corev1.PodSpec)
		want string
	}{
		"linux is fine":              {func(s *corev1.PodSpec) { s.OS = &corev1.PodOS{Name: corev1.Linux} }, ""},
		"windows is not":             {func(s *corev1.PodSpec) { s.OS = &corev1.PodOS{Name: corev1.Windows} }, "spec.os.name"},
		"the host's users are fine":  {func(s *corev1.PodSpec) { s.HostUsers = ptr(true) }, ""},
		"no token is fine":           {func(s *corev1.PodSpec) { s.AutomountServiceAccountToken = ptr(false) }, ""},
		"HTTP1 is fine":              {func(s *corev1.PodSpec) { s.Containers[0].LivenessProbe = httpProbe("HTTP1") }, ""},
		"HTTP2 is not":               {func(s *corev1.PodSpec) { s.Containers[0].LivenessProbe = httpProbe("HTTP2") }, "spec.containers[0].livenessProbe.httpGet.protocol"},
		"a request for disk is fine": {func(s *corev1.PodSpec) { s.Containers[0].Resources.Requests = disk() }, ""},
		"a limit on disk is not":     {func(s *corev1.PodSpec) { s.Containers[0].Resources.Limits = disk() }, "spec.containers[0].resources.limits[ephemeral-storage]"},
		"a limit on memory is honoured": {func(s *corev1.PodSpec) {
			s.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}
		}, ""},
	} {
		pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}}
		c.set(&pod.Spec)
		got := ""
		for _, e := range Refused(pod) {
			got += e.Field
		}
		if got != c.want {
			t.Errorf("%s: refused %q, want %q", name, got, c.want)
		}
	}
}

func httpProbe(protocol corev1.HTTPProtocol) *corev1.Probe {
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Protocol: &protocol}}}
}

func disk() corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")}
}

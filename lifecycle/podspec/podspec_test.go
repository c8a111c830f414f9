package podspec

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// good is a pod of one container that every case changes.
func good() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: "u1", Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"note": "x"}},
		Spec: corev1.PodSpec{
			EnableServiceLinks: ptr(true), SecurityContext: &corev1.PodSecurityContext{}, TerminationGracePeriodSeconds: ptr[int64](30),
			Containers: []corev1.Container{{Name: "app", Image: "web:1", TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: "File"}},
		},
	}
}

func envOf(t *testing.T, in EnvInput) (string, error) {
	t.Helper()
	env, err := Env(in)
	var parts []string
	for _, e := range env {
		parts = append(parts, e.Name+"="+e.Value)
	}
	return strings.Join(parts, " "), err
}

func key1(name, key string, optional *bool) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: optional}}
}

func key2(name, key string, optional *bool) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: optional}}
}

func fromConfigMap(name, prefix string, optional *bool) corev1.EnvFromSource {
	return corev1.EnvFromSource{Prefix: prefix, ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Optional: optional}}
}

func fromSecret(name, prefix string, optional *bool) corev1.EnvFromSource {
	return corev1.EnvFromSource{Prefix: prefix, SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Optional: optional}}
}

func fieldValue(path string) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}}
}

func amount(container, name, divisor string) *corev1.EnvVarSource {
	r := &corev1.ResourceFieldSelector{ContainerName: container, Resource: name}
	if divisor != "" {
		r.Divisor = resource.MustParse(divisor)
	}
	return &corev1.EnvVarSource{ResourceFieldRef: r}
}

func TestEnv(t *testing.T) {
	maps := map[string]*corev1.ConfigMap{"conf": {Data: map[string]string{"A": "1", "B": "$(A)"}}, "more": {Data: map[string]string{"A": "later"}}}
	secrets := map[string]*corev1.Secret{"cred": {Data: map[string][]byte{"PW": {0xff, 0x00, 'x'}}}}
	for name, c := range map[string]struct {
		from []corev1.EnvFromSource
		env  []corev1.EnvVar
		want string
		err  string
	}{
		"plain":                                    {nil, []corev1.EnvVar{{Name: "X", Value: "1"}, {Name: "E"}}, "E= X=1", ""},
		"expansion sees earlier values":            {nil, []corev1.EnvVar{{Name: "B", Value: "$(A)"}, {Name: "A", Value: "1"}, {Name: "C", Value: "$(A)$(A) $$(A) $(NO"}}, "A=1 B=$(A) C=11 $(A) $(NO", ""},
		"the last of one name counts":              {nil, []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "A", Value: "$(A)2"}}, "A=12", ""},
		"env beats envFrom":                        {[]corev1.EnvFromSource{fromConfigMap("conf", "", nil)}, []corev1.EnvVar{{Name: "A", Value: "own"}}, "A=own B=$(A)", ""},
		"later envFrom beats earlier":              {[]corev1.EnvFromSource{fromConfigMap("conf", "", nil), fromConfigMap("more", "", nil)}, nil, "A=later B=$(A)", ""},
		"prefix":                                   {[]corev1.EnvFromSource{fromConfigMap("more", "P_", nil), fromSecret("cred", "S_", nil)}, nil, "P_A=later S_PW=\xff\x00x", ""},
		"env refers to envFrom":                    {[]corev1.EnvFromSource{fromConfigMap("more", "", nil)}, []corev1.EnvVar{{Name: "Z", Value: "<$(A)>"}}, "A=later Z=<later>", ""},
		"missing envFrom configMap":                {[]corev1.EnvFromSource{fromConfigMap("gone", "", nil)}, nil, "", `configmap "gone" not found`},
		"missing envFrom secret":                   {[]corev1.EnvFromSource{fromSecret("gone", "", ptr(false))}, nil, "", `secret "gone" not found`},
		"optional ones":                            {[]corev1.EnvFromSource{fromConfigMap("gone", "", ptr(true)), fromSecret("gone", "", ptr(true))}, nil, "", ""},
		"keys":                                     {nil, []corev1.EnvVar{{Name: "X", ValueFrom: key1("conf", "B", nil)}, {Name: "Y", ValueFrom: key2("cred", "PW", nil)}}, "X=$(A) Y=\xff\x00x", ""},
		"missing key of a configMap":               {nil, []corev1.EnvVar{{Name: "X", ValueFrom: key1("conf", "no", nil)}}, "", "couldn't find key no in ConfigMap shop/conf"},
		"missing key of a secret":                  {nil, []corev1.EnvVar{{Name: "X", ValueFrom: key2("cred", "no", nil)}}, "", "couldn't find key no in Secret shop/cred"},
		"missing configMap":                        {nil, []corev1.EnvVar{{Name: "X", ValueFrom: key1("gone", "a", nil)}}, "", `configmap "gone" not found`},
		"missing secret":                           {nil, []corev1.EnvVar{{Name: "X", ValueFrom: key2("gone", "a", nil)}}, "", `secret "gone" not found`},
		"optional key":                             {nil, []corev1.EnvVar{{Name: "X", ValueFrom: key1("conf", "no", ptr(true))}, {Name: "Y", ValueFrom: key2("gone", "no", ptr(true))}, {Name: "Z", Value: "$(X)"}}, "Z=$(X)", ""},
		"an optional key leaves the earlier value": {nil, []corev1.EnvVar{{Name: "X", Value: "1"}, {Name: "X", ValueFrom: key1("conf", "no", ptr(true))}}, "X=1", ""},
		"a value beats a source":                   {nil, []corev1.EnvVar{{Name: "X", Value: "1", ValueFrom: key1("gone", "a", nil)}}, "X=1", ""},
		"fields": {nil, []corev1.EnvVar{{Name: "A", ValueFrom: fieldValue("metadata.name")}, {Name: "B", ValueFrom: fieldValue("metadata.labels['app']")}, {Name: "C", ValueFrom: fieldValue("status.podIPs")},
			{Name: "D", ValueFrom: fieldValue("status.hostIP")}, {Name: "E", ValueFrom: fieldValue("status.podIP")}, {Name: "F", ValueFrom: fieldValue("metadata.annotations")}},
			`A=web B=web C=10.0.0.5,fd00::5 D=192.0.2.1 E=10.0.0.5 F=note="x"`, ""},
		"unknown field":     {nil, []corev1.EnvVar{{Name: "A", ValueFrom: fieldValue("spec.containers")}}, "", "field label not supported: spec.containers"},
		"amounts":           {nil, []corev1.EnvVar{{Name: "A", ValueFrom: amount("", "limits.memory", "1Mi")}, {Name: "B", ValueFrom: amount("app", "limits.cpu", "")}, {Name: "C", ValueFrom: amount("", "requests.cpu", "1m")}}, "A=2048 B=4 C=0", ""},
		"unknown amount":    {nil, []corev1.EnvVar{{Name: "A", ValueFrom: amount("", "limits.gpu", "")}}, "", "unsupported container resource : limits.gpu"},
		"unknown container": {nil, []corev1.EnvVar{{Name: "A", ValueFrom: amount("nope", "limits.cpu", "")}}, "", "container nope not found"},
	} {
		pod := good()
		pod.Spec.Containers[0].EnvFrom, pod.Spec.Containers[0].Env = c.from, c.env
		got, err := envOf(t, EnvInput{
			Pod: pod, Container: &pod.Spec.Containers[0], ConfigMaps: maps, Secrets: secrets,
			HostIPs: []string{"192.0.2.1"}, PodIPs: []string{"10.0.0.5", "fd00::5"},
			Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("3500m"), corev1.ResourceMemory: resource.MustParse("2Gi")},
		})
		if got != c.want || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%s: %q %v, want %q %q", name, got, err, c.want, c.err)
		}
		var reason interface{ Reason() string }
		if err != nil && (!errors.As(err, &reason) || reason.Reason() != "CreateContainerConfigError") {
			t.Errorf("%s: the error has no reason", name)
		}
	}
}

func service(namespace, name, ip string, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip, Ports: ports}}
}

func TestServiceEnv(t *testing.T) {
	services := []*corev1.Service{
		service("default", "kubernetes", "10.96.0.1", corev1.ServicePort{Name: "https", Port: 443, Protocol: "TCP"}),
		service("shop", "my-db", "fd00::7", corev1.ServicePort{Port: 53, Protocol: "UDP"}, corev1.ServicePort{Name: "web-ui", Port: 80}),
		service("shop", "headless", "None", corev1.ServicePort{Port: 1}), service("shop", "pending", "", corev1.ServicePort{Port: 1}),
		service("shop", "portless", "10.96.0.9"), service("other", "far", "10.96.0.8", corev1.ServicePort{Port: 1}),
	}
	kubernetes := "KUBERNETES_PORT=tcp://10.96.0.1:443 KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443 KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1 " +
		"KUBERNETES_PORT_443_TCP_PORT=443 KUBERNETES_PORT_443_TCP_PROTO=tcp KUBERNETES_SERVICE_HOST=10.96.0.1 KUBERNETES_SERVICE_PORT=443 KUBERNETES_SERVICE_PORT_HTTPS=443"
	db := " MY_DB_PORT=udp://[fd00::7]:53 MY_DB_PORT_53_UDP=udp://[fd00::7]:53 MY_DB_PORT_53_UDP_ADDR=fd00::7 MY_DB_PORT_53_UDP_PORT=53 MY_DB_PORT_53_UDP_PROTO=udp " +
		"MY_DB_PORT_80_TCP=tcp://[fd00::7]:80 MY_DB_PORT_80_TCP_ADDR=fd00::7 MY_DB_PORT_80_TCP_PORT=80 MY_DB_PORT_80_TCP_PROTO=tcp " +
		"MY_DB_SERVICE_HOST=fd00::7 MY_DB_SERVICE_PORT=53 MY_DB_SERVICE_PORT_WEB_UI=80"
	for links, want := range map[bool]string{true: kubernetes + db, false: kubernetes} {
		pod := good()
		pod.Spec.EnableServiceLinks = &links
		if got, err := envOf(t, EnvInput{Pod: pod, Container: &pod.Spec.Containers[0], Services: services}); got != want || err != nil {
			t.Errorf("links %v:\n%s %v\nwant\n%s", links, got, err, want)
		}
	}
	pod := good()
	pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "KUBERNETES_PORT", Value: "mine"}, {Name: "X", Value: "$(KUBERNETES_SERVICE_HOST)"}}
	got, err := envOf(t, EnvInput{Pod: pod, Container: &pod.Spec.Containers[0], Services: services[:1]})
	if err != nil || !strings.Contains(got, "KUBERNETES_PORT=mine ") || !strings.HasSuffix(got, "X=10.96.0.1") {
		t.Errorf("%s, %v", got, err)
	}
	pod.Spec.EnableServiceLinks = nil
	if _, err := Env(EnvInput{Pod: pod, Container: &pod.Spec.Containers[0]}); err == nil {
		t.Error("a pod that was not defaulted has an environment")
	}
}

func TestReferences(t *testing.T) {
	c := &corev1.Container{
		EnvFrom: []corev1.EnvFromSource{fromConfigMap("b", "", nil), fromSecret("s", "", nil), fromConfigMap("a", "", ptr(true))},
		Env:     []corev1.EnvVar{{ValueFrom: key1("b", "k", nil)}, {ValueFrom: key2("t", "k", nil)}, {Value: "x", ValueFrom: key2("unused", "k", nil)}, {ValueFrom: fieldValue("metadata.name")}},
	}
	if maps, secrets := References(c); !slices.Equal(maps, []string{"a", "b"}) || !slices.Equal(secrets, []string{"s", "t"}) {
		t.Errorf("%v %v", maps, secrets)
	}
}

func TestExpandStatic(t *testing.T) {
	env := []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "B", Value: "$(A)"}, {Name: "C", ValueFrom: fieldValue("metadata.name")}}
	if got := ExpandStatic([]string{"$(A)", "$(B)", "<$(C)>", "$(D)", "$$(A)"}, env); !slices.Equal(got, []string{"1", "$(A)", "<>", "$(D)", "$(A)"}) {
		t.Errorf("%q", got)
	}
	if got := ExpandCommand([]string{"$(A)"}, []EnvVar{{"A", "x"}, {"A", "y"}}); !slices.Equal(got, []string{"y"}) {
		t.Errorf("%q", got)
	}
}

func TestRunAsNonRoot(t *testing.T) {
	uid := func(n int64) *runtimeapi.Image { return &runtimeapi.Image{Uid: &runtimeapi.Int64Value{Value: n}} }
	who := ` (pod: "web_shop(u1)", container: app)`
	for name, c := range map[string]struct {
		podUser, user *int64
		image         *runtimeapi.Image
		want          string
	}{
		"image of a user":              {nil, nil, uid(1000), ""},
		"image without a user":         {nil, nil, nil, "container has runAsNonRoot and image will run as root" + who},
		"image of root":                {nil, nil, uid(0), "container has runAsNonRoot and image will run as root" + who},
		"image of a name":              {nil, nil, &runtimeapi.Image{Username: "www"}, "container has runAsNonRoot and image has non-numeric user (www), cannot verify user is non-root" + who},
		"image of no user":             {nil, nil, uid(-1), "container has runAsNonRoot and image has an invalid user id (-1). (Must be 1-(2147483647)): must be between 0 and 2147483647, inclusive" + who},
		"own user":                     {nil, ptr[int64](7), nil, ""},
		"own root":                     {nil, ptr[int64](0), uid(1000), "container's runAsUser breaks non-root policy" + who},
		"the pod's user":               {ptr[int64](7), nil, nil, ""},
		"the pod's root":               {ptr[int64](0), nil, uid(1000), "container's runAsUser breaks non-root policy" + who},
		"own user over the pod's root": {ptr[int64](0), ptr[int64](7), nil, ""},
	} {
		pod := good()
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: ptr(true), RunAsUser: c.podUser}
		pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{RunAsUser: c.user}
		_, err := Container(ContainerInput{Pod: pod, Container: &pod.Spec.Containers[0], Image: c.image})
		if got := ""; err != nil {
			if got = err.Error(); got != c.want {
				t.Errorf("%s: %s, want %q", name, got, c.want)
			}
		} else if c.want != "" {
			t.Errorf("%s: no error, want %s", name, c.want)
		}
		pod.Spec.Containers[0].SecurityContext.RunAsNonRoot = ptr(false)
		if _, err := Container(ContainerInput{Pod: pod, Container: &pod.Spec.Containers[0], Image: c.image}); err != nil {
			t.Errorf("%s: the container may run as root, but %v", name, err)
		}
	}
}

func TestMounts(t *testing.T) {
	pod := good()
	c := &pod.Spec.Containers[0]
	host := ptr(corev1.MountPropagationHostToContainer)
	c.VolumeMounts = []corev1.VolumeMount{
		{Name: "a", MountPath: "/a"}, {Name: "conf", MountPath: "rel"}, {Name: "a", MountPath: "/p", SubPath: "x", MountPropagation: host, ReadOnly: true},
		{Name: "a", MountPath: "/e", SubPathExpr: "$(A)"}, {Name: "a", MountPath: "/r", ReadOnly: true, RecursiveReadOnly: ptr(corev1.RecursiveReadOnlyIfPossible)},
	}
	subs, err := SubPaths(c, []EnvVar{{"A", "dir/1"}})
	if err != nil || !maps.Equal(subs, map[int]string{2: "x", 3: "dir/1"}) {
		t.Errorf("%v %v", subs, err)
	}
	in := ContainerInput{
		Pod: pod, Container: c, Volumes: map[string]Source{"a": {HostPath: "/v/a"}, "conf": {HostPath: "/v/conf", ReadOnly: true}},
		SubPaths: map[int]string{2: "/s/2", 3: "/s/3"}, HostsFile: "/p/hosts", TerminationLog: "/p/log", RecursiveReadOnly: true,
	}
	cfg, err := Container(in)
	if err != nil {
		t.Fatal(err)
	}
	want := []*runtimeapi.Mount{
		{ContainerPath: "/a", HostPath: "/v/a"}, {ContainerPath: "/rel", HostPath: "/v/conf", Readonly: true},
		{ContainerPath: "/p", HostPath: "/s/2", Readonly: true, Propagation: runtimeapi.MountPropagation_PROPAGATION_HOST_TO_CONTAINER},
		{ContainerPath: "/e", HostPath: "/s/3"}, {ContainerPath: "/r", HostPath: "/v/a", Readonly: true, RecursiveReadOnly: true},
		{ContainerPath: "/etc/hosts", HostPath: "/p/hosts"}, {ContainerPath: "/dev/termination-log", HostPath: "/p/log"},
	}
	if !reflect.DeepEqual(cfg.Mounts, want) {
		t.Errorf("%v\nwant\n%v", cfg.Mounts, want)
	}
	c.VolumeMounts[0].MountPath = "/etc/hosts"
	c.TerminationMessagePath = ""
	if cfg, _ = Container(in); len(cfg.Mounts) != 5 {
		t.Errorf("the container's own /etc/hosts is hidden: %v", cfg.Mounts)
	}
}

func TestMountErrors(t *testing.T) {
	for name, c := range map[string]struct {
		mount corev1.VolumeMount
		want  string
	}{
		"no such volume":      {corev1.VolumeMount{Name: "b", MountPath: "/b"}, `cannot find volume "b" to mount into container "app"`},
		"absolute subPath":    {corev1.VolumeMount{Name: "a", SubPath: "/x"}, "error SubPath `/x` must not be an absolute path"},
		"subPath up":          {corev1.VolumeMount{Name: "a", SubPath: "x/../y"}, "unable to provision SubPath `x/../y`: must not contain '..'"},
		"subPathExpr up":      {corev1.VolumeMount{Name: "a", SubPathExpr: "$(UP)/y"}, "unable to provision SubPath `../y`: must not contain '..'"},
		"unknown variables":   {corev1.VolumeMount{Name: "a", SubPathExpr: "$(X)/$(B)/$(EMPTY)/$(X)"}, "missing value for B, EMPTY, X"},
		"subPath not made":    {corev1.VolumeMount{Name: "a", SubPath: "x"}, `failed to prepare subPath for volumeMount "a" of container "app"`},
		"unknown propagation": {corev1.VolumeMount{Name: "a", MountPropagation: ptr(corev1.MountPropagationMode("Odd"))}, `invalid MountPropagation mode: "Odd"`},
		"recursive, writable": {corev1.VolumeMount{Name: "a", RecursiveReadOnly: ptr(corev1.RecursiveReadOnlyEnabled)},
			`failed to resolve recursive read-only mode: volume "a" requested recursive read-only mode, but it is not read-only`},
		"recursive, runtime cannot": {corev1.VolumeMount{Name: "a", ReadOnly: true, RecursiveReadOnly: ptr(corev1.RecursiveReadOnlyEnabled)},
			`failed to resolve recursive read-only mode: volume "a" requested recursive read-only mode, but it is not supported by the runtime`},
		"recursive, propagated": {corev1.VolumeMount{Name: "a", ReadOnly: true, RecursiveReadOnly: ptr(corev1.RecursiveReadOnlyEnabled), MountPropagation: ptr(corev1.MountPropagationBidirectional)},
			`failed to resolve recursive read-only mode: volume "a" requested recursive read-only mode, but it is not compatible with propagation "Bidirectional"`},
		"recursive, unknown": {corev1.VolumeMount{Name: "a", ReadOnly: true, RecursiveReadOnly: ptr(corev1.RecursiveReadOnlyMode("Odd"))},
			`failed to resolve recursive read-only mode: unknown recursive read-only mode "Odd"`},
	} {
		pod := good()
		pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{c.mount}
		_, err := SubPaths(&pod.Spec.Containers[0], []EnvVar{{"UP", ".."}, {"EMPTY", ""}})
		if err == nil {
			_, err = Container(ContainerInput{Pod: pod, Container: &pod.Spec.Containers[0], Volumes: map[string]Source{"a": {HostPath: "/v"}}})
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestHostsFile(t *testing.T) {
	head := "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
	aliases := []corev1.HostAlias{{IP: "1.2.3.4", Hostnames: []string{"a", "b"}}, {IP: "::5", Hostnames: []string{"c"}}}
	tail := "\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n::5\tc\n"
	for name, c := range map[string]struct {
		change func(p *corev1.Pod)
		want   string
	}{
		"plain":     {func(*corev1.Pod) {}, head + "10.0.0.5\tweb\nfd00::5\tweb\n"},
		"subdomain": {func(p *corev1.Pod) { p.Spec.Subdomain = "db" }, head + "10.0.0.5\tweb.db.shop.svc.k.local\tweb\nfd00::5\tweb.db.shop.svc.k.local\tweb\n"},
		"aliases":   {func(p *corev1.Pod) { p.Spec.HostAliases = aliases }, head + "10.0.0.5\tweb\nfd00::5\tweb\n" + tail},
		"host network": {func(p *corev1.Pod) { p.Spec.HostNetwork, p.Spec.HostAliases = true, aliases },
			"# Kubernetes-managed hosts file (host network).\n127.0.0.1 node\n" + tail},
	} {
		pod := good()
		c.change(pod)
		got, err := HostsFile(pod, []string{"10.0.0.5", "fd00::5"}, "k.local", []byte("127.0.0.1 node\n"))
		if string(got) != c.want || err != nil {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, c.want)
		}
	}
}

func TestSandboxErrors(t *testing.T) {
	for want, change := range map[string]func(p *corev1.Pod){
		`pod Hostname "A_b" is not a valid DNS label: `: func(p *corev1.Pod) { p.Spec.Hostname = "A_b" },
		"failed to construct FQDN from pod hostname and cluster domain, FQDN " + strings.Repeat("n", 63) + ".s.shop.svc.k.local is too long (64 characters is the max, 82 characters requested)": func(p *corev1.Pod) {
			p.Name, p.Spec.Subdomain, p.Spec.SetHostnameAsFQDN = strings.Repeat("n", 80), "s", ptr(true)
		},
		"unsupported supplementalGroupsPolicy: Odd": func(p *corev1.Pod) {
			p.Spec.SecurityContext.SupplementalGroupsPolicy = ptr(corev1.SupplementalGroupsPolicy("Odd"))
		},
	} {
		pod := good()
		change(pod)
		_, err := Sandbox(SandboxInput{Pod: pod, ClusterDomain: "k.local"})
		var reason interface{ Reason() string }
		if err == nil || !strings.HasPrefix(err.Error(), want) || !errors.As(err, &reason) || reason.Reason() != "CreatePodSandboxError" {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestContainerErrors(t *testing.T) {
	for want, sc := range map[string]*corev1.SecurityContext{
		"localhostProfile must be set if seccompProfile type is Localhost.": {SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost}},
		"missing localhost apparmor profile name":                           {AppArmorProfile: &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeLocalhost}},
		`unknown apparmor profile type: "Odd"`:                              {AppArmorProfile: &corev1.AppArmorProfile{Type: "Odd"}},
	} {
		pod := good()
		pod.Spec.Containers[0].SecurityContext = sc
		if _, err := Container(ContainerInput{Pod: pod, Container: &pod.Spec.Containers[0]}); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestTarget(t *testing.T) {
	pod := good()
	in := ContainerInput{Pod: pod, Container: &pod.Spec.Containers[0], TargetID: "abc"}
	cfg, err := Container(in)
	if o := cfg.GetLinux().GetSecurityContext().GetNamespaceOptions(); err != nil || o.Pid != runtimeapi.NamespaceMode_TARGET || o.TargetId != "abc" {
		t.Errorf("%v %v", o, err)
	}
	pod.Spec.ShareProcessNamespace = ptr(true)
	cfg, err = Container(in)
	if o := cfg.GetLinux().GetSecurityContext().GetNamespaceOptions(); err != nil || o.Pid != runtimeapi.NamespaceMode_POD || o.TargetId != "" {
		t.Errorf("%v %v", o, err)
	}
}

func TestThermalPaths(t *testing.T) {
	node := fstest.MapFS{}
	for _, cpu := range []string{"cpu0", "cpu2", "cpu10"} {
		node["sys/devices/system/cpu/"+cpu+"/thermal_throttle/count"] = &fstest.MapFile{}
	}
	node["sys/devices/system/cpu/cpu1/online"] = &fstest.MapFile{}
	node["sys/devices/system/cpu/cpufreq/thermal_throttle/x"] = &fstest.MapFile{}
	want := []string{"/sys/devices/system/cpu/cpu0/thermal_throttle", "/sys/devices/system/cpu/cpu2/thermal_throttle", "/sys/devices/system/cpu/cpu10/thermal_throttle"}
	if got := ThermalPaths(node); !slices.Equal(got, want) {
		t.Error(got)
	}
	pod := good()
	cfg, err := Container(ContainerInput{Pod: pod, Container: &pod.Spec.Containers[0], MaskedPaths: want[:1]})
	if err != nil {
		t.Fatal(err)
	}
	sc := cfg.Linux.SecurityContext
	if len(sc.MaskedPaths) != 13 || sc.MaskedPaths[12] != want[0] || len(sc.ReadonlyPaths) != 5 {
		t.Error(sc.MaskedPaths, sc.ReadonlyPaths)
	}
}

func TestInputsAreLeftAlone(t *testing.T) {
	pod := good()
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: ptr[int64](5), FSGroup: ptr[int64](6), SupplementalGroups: []int64{7}}
	pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"X"}}}
	before := pod.DeepCopy()
	for range 2 {
		if _, err := Sandbox(SandboxInput{Pod: pod}); err != nil {
			t.Fatal(err)
		}
		if _, err := Container(ContainerInput{Pod: pod, Container: &pod.Spec.Containers[0]}); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(pod, before) {
		t.Error("the pod was changed")
	}
}

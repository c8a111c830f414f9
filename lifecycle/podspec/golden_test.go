package podspec

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/lifecycle/podcgroup"
	"github.com/lifepod/lifepod/pod"
)

// lines reads a compressed file of JSON lines.
func lines[T any](t *testing.T, name string) []T {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []T
	s := bufio.NewScanner(gz)
	s.Buffer(nil, 1<<24)
	for s.Scan() {
		var v T
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

type trace struct {
	Name  string
	Pod   *corev1.Pod
	Calls []struct {
		RPC, Container string
		Attempt        uint32
		Fields         struct {
			Hostname, Namespaces, Image, Log string
			OOMScoreAdj                      int64
		}
	}
}

func namespaces(o *runtimeapi.NamespaceOption) string {
	return fmt.Sprintf("net=%s pid=%s ipc=%s", o.Network, o.Pid, o.Ipc)
}

// What the real kubelet asked of its runtime, in every recorded scenario.
func TestKubeletTraces(t *testing.T) {
	calls := 0
	for _, tr := range lines[trace](t, "testdata/kubelet.jsonl.gz") {
		tr.Pod.UID = "u"
		for _, call := range tr.Calls {
			calls++
			at := fmt.Sprintf("%s: %s %s %d", tr.Name, call.RPC, call.Container, call.Attempt)
			if call.RPC == "RunPodSandbox" {
				cfg, err := Sandbox(SandboxInput{Pod: tr.Pod, Attempt: call.Attempt})
				if err != nil {
					t.Fatal(err)
				}
				if got := namespaces(cfg.Linux.SecurityContext.NamespaceOptions); cfg.Hostname != call.Fields.Hostname || got != call.Fields.Namespaces {
					t.Errorf("%s: %s %s, want %+v", at, cfg.Hostname, got, call.Fields)
				}
				continue
			}
			c, _ := pod.Find(&tr.Pod.Spec, call.Container)
			c.Image = call.Fields.Image // one scenario updates it
			if c.Resources.Requests == nil {
				c.Resources.Requests = c.Resources.Limits // as defaulting does
			}
			score := podcgroup.Container(tr.Pod, c, podcgroup.Options{}).OOMScoreAdj
			volumes := map[string]Source{}
			for _, v := range tr.Pod.Spec.Volumes {
				volumes[v.Name] = Source{HostPath: "/" + v.Name}
			}
			cfg, err := Container(ContainerInput{
				Volumes: volumes, Pod: tr.Pod, Container: c, Attempt: call.Attempt, ImageRef: c.Image, Resources: &runtimeapi.LinuxContainerResources{OomScoreAdj: score},
			})
			if err != nil {
				t.Fatal(err)
			}
			got := namespaces(cfg.Linux.SecurityContext.NamespaceOptions)
			if w := call.Fields; cfg.Image.Image != w.Image || cfg.LogPath != w.Log || got != w.Namespaces || cfg.Linux.Resources.OomScoreAdj != w.OOMScoreAdj {
				t.Errorf("%s: %s %s %s %d, want %+v", at, cfg.Image.Image, cfg.LogPath, got, score, w)
			}
		}
	}
	if calls < 150 {
		t.Errorf("only %d calls were compared", calls)
	}
}

// golden is what the kubelet's own code makes of a pod: its second sandbox, each
// container's fourth instance, with addresses and volumes that the test knows.
type golden struct {
	ID           string
	Pod          *corev1.Pod
	ConfigMaps   map[string]map[string]string
	Secrets      map[string]map[string][]byte
	Users        map[string]string
	Sandbox      *runtimeapi.PodSandboxConfig
	SandboxError string
	Containers   []struct {
		Name   string
		Config *runtimeapi.ContainerConfig
		Error  string
	}
	Hosts string
}

func (g *golden) image(name string) *runtimeapi.Image {
	user := g.Users[name]
	if n, err := strconv.ParseInt(user, 10, 64); err == nil {
		return &runtimeapi.Image{Uid: &runtimeapi.Int64Value{Value: n}}
	}
	return &runtimeapi.Image{Username: user}
}

func goldenService(name, ip string, protocol corev1.Protocol, port int32) *corev1.Service {
	return service("default", name, ip, corev1.ServicePort{Port: port, Protocol: protocol})
}

// container makes what g.Containers holds for c.
func (g *golden) container(c *corev1.Container) (*runtimeapi.ContainerConfig, error) {
	in := EnvInput{
		Pod: g.Pod, Container: c, HostIPs: []string{"192.0.2.1", "2001:db8::1"}, PodIPs: []string{"10.0.0.5", "fd00::5"},
		Services:   []*corev1.Service{goldenService("kubernetes", "10.96.0.1", "TCP", 443), goldenService("web-api", "10.96.0.7", "UDP", 53)},
		ConfigMaps: map[string]*corev1.ConfigMap{}, Secrets: map[string]*corev1.Secret{},
		Allocatable: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("7500m"), corev1.ResourceMemory: resource.MustParse("30Gi"), corev1.ResourceEphemeralStorage: resource.MustParse("100Gi"),
		},
	}
	for n, d := range g.ConfigMaps {
		in.ConfigMaps[n] = &corev1.ConfigMap{Data: d}
	}
	for n, d := range g.Secrets {
		in.Secrets[n] = &corev1.Secret{Data: d}
	}
	env, err := Env(in)
	if err != nil {
		return nil, err
	}
	subs, err := SubPaths(c, env)
	if err != nil {
		return nil, err
	}
	out := ContainerInput{
		Pod: g.Pod, Container: c, Attempt: 3, ImageRef: "sha256:abc", Image: g.image(c.Image), Env: env, Volumes: map[string]Source{}, SubPaths: map[int]string{},
		HostsFile: "/pods/etc-hosts", TerminationLog: "/pods/log", SeccompRoot: "/seccomp",
	}
	for _, v := range g.Pod.Spec.Volumes {
		content := v.ConfigMap != nil || v.Secret != nil || v.DownwardAPI != nil || v.Projected != nil
		out.Volumes[v.Name] = Source{HostPath: "/pods/volumes/" + v.Name, ReadOnly: content}
	}
	for i, sub := range subs {
		out.SubPaths[i] = path.Join("/pods/volumes", c.VolumeMounts[i].Name, sub)
	}
	return Container(out)
}

// normal is a message's text without what is random in the kubelet or belongs
// to other packages.
func normal(t *testing.T, m proto.Message) string {
	t.Helper()
	switch m := m.(type) {
	case *runtimeapi.ContainerConfig:
		m.Linux.Resources = nil
		for _, e := range m.Envs { // the data is JSON: bytes that are no text are lost there
			e.Value = []byte(strings.ToValidUTF8(strings.ReplaceAll(string(e.Value), "\xff\xfe", "\ufffd\ufffd"), "\ufffd"))
		}
		slices.SortFunc(m.Envs, func(a, b *runtimeapi.KeyValue) int { return strings.Compare(a.Key, b.Key) })
		sc := m.Linux.SecurityContext
		sc.MaskedPaths = slices.DeleteFunc(sc.MaskedPaths, func(p string) bool { return strings.HasSuffix(p, "/thermal_throttle") })
		for _, mount := range m.Mounts {
			if strings.Contains(mount.HostPath, "/containers/") {
				mount.HostPath = "/pods/log"
			}
		}
	case *runtimeapi.PodSandboxConfig:
		m.Linux.Resources, m.Linux.Overhead = nil, nil
	}
	return prototext.MarshalOptions{Multiline: true}.Format(m)
}

// twoFaults have two mounts with one fault each, and the other is found first.
var twoFaults = map[string]bool{"pod-1-35/c2": true}

func refusedContainer(c *corev1.Container) bool {
	return len(c.VolumeDevices) > 0 ||
		slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return len(m.BindMountOptions) > 0 }) ||
		slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.ValueFrom != nil && e.ValueFrom.FileKeyRef != nil })
}

// Pods that the kubelet's own code was asked about: every message is the same,
// every error has its text.
func TestKubeletCode(t *testing.T) {
	all := lines[golden](t, "testdata/golden.jsonl.gz")
	sandboxes, configs, failures := 0, 0, 0
	for _, g := range all {
		if users := g.Pod.Spec.HostUsers; users != nil && !*users {
			continue // refused
		}
		sandboxes++
		cfg, err := Sandbox(SandboxInput{Pod: g.Pod, Attempt: 1, ClusterDomain: "cluster.local"})
		if got := fmt.Sprint(err); err != nil && got != g.SandboxError || err == nil && g.SandboxError != "" {
			t.Errorf("%s: sandbox: %v, want %q", g.ID, err, g.SandboxError)
		}
		if err != nil || g.Sandbox == nil {
			continue // without a sandbox there is no container
		}
		same(t, g.ID+": sandbox", normal(t, cfg), normal(t, g.Sandbox))
		for _, want := range g.Containers {
			c, _ := pod.Find(&g.Pod.Spec, want.Name)
			if refusedContainer(c) {
				continue
			}
			cfg, err := g.container(c)
			if err != nil || want.Error != "" {
				failures++
				if fmt.Sprint(err) != want.Error && !twoFaults[g.ID+"/"+want.Name] {
					t.Errorf("%s: %s: %v, want %q", g.ID, want.Name, err, want.Error)
				}
				continue
			}
			configs++
			same(t, g.ID+": "+want.Name, normal(t, cfg), normal(t, want.Config))
		}
		if g.Hosts != "" && !g.Pod.Spec.HostNetwork {
			hosts, err := HostsFile(g.Pod, []string{"10.0.0.5", "fd00::5"}, "cluster.local", nil)
			if err != nil {
				t.Error(err)
			}
			same(t, g.ID+": hosts", string(hosts), g.Hosts)
		}
	}
	t.Logf("%d pods: %d sandboxes, %d containers, %d errors", len(all), sandboxes, configs, failures)
	if sandboxes < 100 || configs < 100 || failures < 20 {
		t.Error("too few to be worth anything")
	}
}

// same compares texts line by line.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Errorf("%s: line %d: got %q, want %q", what, i, at(g, i), at(w, i))
			return
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(the end)"
}

package cni

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/netns"
	"github.com/lifepod/lifepod/netns/netnstest"
)

// scripted is a network of one plugin that is a shell script. It keeps what it
// is told in $dir/VERB.env and $dir/VERB.json.
func scripted(t *testing.T, capabilities, script string) (n *Network, dir string, a netns.Attachment) {
	t.Helper()
	testutil.RequireRoot(t)
	dir = t.TempDir()
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{dir}})
	script = "#!/bin/sh\nenv > " + dir + "/$CNI_COMMAND.env\ncat > " + dir + "/$CNI_COMMAND.json\n" + script
	conf := `{"cniVersion": "1.1.0", "name": "net", "plugins": [{"type": "script", "capabilities": {` + capabilities + `}}]}`
	for name, text := range map[string]string{"script": script, "1.conflist": conf} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	n, err := New(Options{ConfDir: dir, BinDirs: []string{dir}, CacheDir: filepath.Join(dir, "cache"), Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return n, dir, netns.Attachment{ID: "sandbox-1", Path: netnstest.NewPod(t, filepath.Join(dir, "ns")),
		Pod: netns.PodRef{Namespace: "prod", Name: "web", UID: "u-1"}}
}

const answer = `echo '{"cniVersion": "1.1.0", "interfaces": [{"name": "eth0", "sandbox": "x"}], "ips": [{"address": "fd00::2/64", "interface": 0}, {"address": "10.1.0.2/24", "gateway": "10.1.0.1", "interface": 0}]}'` + "\n"

func TestWhatPluginsAreTold(t *testing.T) {
	n, dir, a := scripted(t, `"portMappings": true, "bandwidth": true, "ips": true, "dns": true, "cgroupPath": true, "io.kubernetes.cri.pod-annotations": true, "aliases": true`, answer)
	a.Ports = []netns.PortMapping{{Protocol: "tcp", HostIP: netip.MustParseAddr("192.0.2.1"), HostPort: 80, ContainerPort: 8080}, {Protocol: "udp", ContainerPort: 53}}
	a.Bandwidth = &netns.Bandwidth{Ingress: 1000000}
	a.IPs = []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24")}
	a.DNS = netns.DNS{Servers: []string{"10.96.0.10"}, Searches: []string{"a"}, Options: []string{"ndots:5"}}
	a.CgroupPath, a.Annotations = "/kubepods/pod1", map[string]string{"k": "v"}
	res, err := n.Setup(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24"), netip.MustParsePrefix("fd00::2/64")}
	if !reflect.DeepEqual(res.Addrs, want) || res.Interface != "eth0" {
		t.Errorf("result %+v", res)
	}
	env, _ := os.ReadFile(dir + "/ADD.env")
	for _, line := range []string{"CNI_CONTAINERID=sandbox-1", "CNI_IFNAME=eth0", "CNI_NETNS=" + a.Path, "CNI_PATH=" + dir,
		"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=prod;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=sandbox-1;K8S_POD_UID=u-1"} {
		if !strings.Contains(string(env), line+"\n") {
			t.Errorf("the environment lacks %s:\n%s", line, env)
		}
	}
	var got struct{ RuntimeConfig any }
	b, _ := os.ReadFile(dir + "/ADD.json")
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	var caps any
	_ = json.Unmarshal([]byte(`{"portMappings": [{"hostPort": 80, "containerPort": 8080, "protocol": "tcp", "hostIP": "192.0.2.1"}],
		"bandwidth": {"ingressRate": 1000000, "ingressBurst": 4294967295, "egressRate": 0, "egressBurst": 0}, "ips": ["10.1.0.2/24"],
		"dns": {"servers": ["10.96.0.10"], "searches": ["a"], "options": ["ndots:5"]},
		"cgroupPath": "/kubepods/pod1", "io.kubernetes.cri.pod-annotations": {"k": "v"}}`), &caps)
	if !reflect.DeepEqual(got.RuntimeConfig, caps) {
		t.Errorf("runtimeConfig\n got %v\nwant %v", got.RuntimeConfig, caps)
	}
	netnstest.Unpin(t, a.Path)
	if err := n.Teardown(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	env, _ = os.ReadFile(dir + "/DEL.env")
	if strings.Contains(string(env), "CNI_NETNS="+a.Path) {
		t.Errorf("DEL names a namespace that is gone")
	}
}

func TestWishesThatNoPluginKnowsAreRefused(t *testing.T) {
	n, dir, a := scripted(t, ``, answer)
	for capability, b := range map[string]netns.Attachment{
		"portMappings": {Ports: []netns.PortMapping{{Protocol: "tcp", HostPort: 80, ContainerPort: 80}}},
		"bandwidth":    {Bandwidth: &netns.Bandwidth{Egress: 1}},
		"ips":          {IPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}},
	} {
		b.ID, b.Path = a.ID, a.Path
		if _, err := n.Setup(t.Context(), b); err == nil || !strings.Contains(err.Error(), capability) {
			t.Errorf("%s: %v", capability, err)
		}
		n.o.Lenient = true
		if _, err := n.Setup(t.Context(), b); err != nil {
			t.Errorf("%s, lenient: %v", capability, err)
		}
		n.o.Lenient = false
	}
	a.Pod.Name = "web;K8S_POD_NAME=root"
	if _, err := n.Setup(t.Context(), a); err == nil || !strings.Contains(err.Error(), "K8S_POD_NAME") {
		t.Errorf("a name that smuggles an argument: %v", err)
	}
	if err := n.Teardown(t.Context(), netns.Attachment{ID: a.ID, Path: a.Path}); err != nil {
		t.Error(err)
	}
	if b, _ := os.ReadFile(dir + "/ADD.env"); strings.Contains(string(b), "K8S_POD_NAME=root") {
		t.Error("the plugin was told so")
	}
}

func TestFailuresOfPlugins(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"an error by the specification": {`echo '{"code": 11, "msg": "try again later"}'; exit 1`, "try again later"},
		"an error on stderr":            {`echo oops >&2; exit 3`, "oops"},
		"silence":                       {`exit 3`, "exit status 3"},
		"no JSON":                       {`[ $CNI_COMMAND = DEL ] || echo hello`, "invalid character"},
		"nothing":                       {``, "unexpected end of JSON"},
		"no address":                    {`[ $CNI_COMMAND = DEL ] || echo '{"cniVersion": "1.1.0"}'`, "gave eth0 no address"},
		"a loopback address":            {`[ $CNI_COMMAND = DEL ] || echo '{"cniVersion": "1.1.0", "ips": [{"address": "127.0.0.1/8"}]}'`, "cannot be a pod's"},
		"too much":                      {`[ $CNI_COMMAND = DEL ] || head -c 2000000 /dev/zero`, "wrote more than"},
	} {
		t.Run(name, func(t *testing.T) {
			n, dir, a := scripted(t, ``, c.script)
			_, err := n.Setup(t.Context(), a)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if _, err := os.Stat(dir + "/DEL.env"); err != nil {
				t.Errorf("no DEL came after the failed ADD: %v", err)
			}
			if strings.Contains(c.script, "code") {
				var e *types.Error
				if !errors.As(err, &e) || e.Code != types.ErrTryAgainLater {
					t.Errorf("the code is lost: %v", err)
				}
			}
			if !strings.Contains(c.script, "exit") {
				if err := n.Teardown(t.Context(), a); err != nil {
					t.Errorf("Teardown: %v", err)
				}
			}
		})
	}
}

// The plugin's child keeps its output open and outlives it; both must be ended.
func TestAPluginThatHangsIsEndedWithItsChildren(t *testing.T) {
	n, _, a := scripted(t, ``, "[ $CNI_COMMAND = DEL ] && exit 0\ncd ${0%/*} # where the leak check looks\nsleep 600 & sleep 600\n")
	n.o.Timeout = 300 * time.Millisecond
	if _, err := n.Setup(t.Context(), a); err == nil || !strings.Contains(err.Error(), "was ended: context deadline exceeded") {
		t.Errorf("got %v", err)
	}
}

func TestStatusAndGC(t *testing.T) {
	n, dir, a := scripted(t, ``, `[ $CNI_COMMAND = STATUS ] && [ -e "$0.down" ] && { echo '{"code": 50, "msg": "the daemon is away"}'; exit 1; }`+"\n"+`[ $CNI_COMMAND = ADD ] && `+answer+"true\n")
	if err := n.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(dir+"/script.down", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var e *types.Error
	if err := n.Ready(t.Context()); !errors.As(err, &e) || e.Code != 50 {
		t.Errorf("Ready: %v", err)
	}
	if _, err := n.Setup(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if err := n.GC(t.Context(), []netns.Attachment{a}); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(dir + "/GC.json")
	if !strings.Contains(string(b), `"cni.dev/valid-attachments":[{"containerID":"sandbox-1","ifname":"eth0"}]`) {
		t.Errorf("GC was told %s", b)
	}
	if err := n.GC(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(dir + "/cache/*/*"); len(left) > 0 {
		t.Errorf("still cached: %v", left)
	}
	b, _ = os.ReadFile(dir + "/GC.json")
	if !strings.Contains(string(b), `"cni.dev/valid-attachments":[]`) {
		t.Errorf("GC was told %s", b)
	}
	if err := os.Remove(dir + "/script"); err != nil {
		t.Fatal(err)
	}
	if err := n.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "find the plugin script") {
		t.Errorf("Ready without the plugin: %v", err)
	}
}

package netns

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestPathsNameEachKindOnce(t *testing.T) {
	p := Paths("/d", Net|IPC|UTS|User)
	want := Pins{Net: "/d/net", IPC: "/d/ipc", UTS: "/d/uts", User: "/d/user"}
	for got, want := range map[string]string{p.Net: want.Net, p.IPC: want.IPC, p.UTS: want.UTS, p.User: want.User} {
		if filepath.ToSlash(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if p := Paths("/d", UTS); p.Net != "" || p.IPC != "" || p.User != "" {
		t.Errorf("kinds that were not asked for have a path: %+v", p)
	}
}

func TestOptionsThatWouldDoNothingAreRefused(t *testing.T) {
	ids := []IDMap{{0, 100000, 65536}}
	for name, c := range map[string]struct {
		kinds Kinds
		o     Options
		want  string
	}{
		"no kinds":                 {0, Options{}, "name at least one"},
		"unknown kind":             {1 << 7, Options{}, "name at least one"},
		"hostname without uts":     {Net, Options{Hostname: "h"}, "needs a UTS namespace"},
		"hostname of 65":           {UTS, Options{Hostname: strings.Repeat("a", 65)}, "the kernel takes 64"},
		"maps without user":        {Net, Options{UIDs: ids, GIDs: ids}, "id maps go with a user namespace"},
		"user without maps":        {Net | User, Options{}, "id maps go with a user namespace"},
		"user without gids":        {Net | User, Options{UIDs: ids}, "id maps go with a user namespace"},
		"net sysctl, host network": {IPC, Options{Sysctls: map[string]string{"net.ipv4.ip_forward": "1"}}, "needs a network namespace"},
		"ipc sysctl, host ipc":     {Net, Options{Sysctls: map[string]string{"kernel.msgmax": "1"}}, "needs an IPC namespace"},
		"machine-wide sysctl":      {Net | IPC, Options{Sysctls: map[string]string{"kernel.panic": "1"}}, "would change the whole machine"},
		"sysctl that climbs":       {Net, Options{Sysctls: map[string]string{"net/../kernel/panic": "1"}}, "not a name"},
		"sysctl without dot":       {Net, Options{Sysctls: map[string]string{"net": "1"}}, "not a name"},
		"empty part":               {Net, Options{Sysctls: map[string]string{"net..a": "1"}}, "not a name"},
	} {
		if err := c.o.check(c.kinds); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	good := Options{Hostname: "h", UIDs: ids, GIDs: ids, Sysctls: map[string]string{"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1", "fs.mqueue.msg_max": "9"}}
	if err := good.check(Net | IPC | UTS | User); err != nil {
		t.Error(err)
	}
}

func TestSysctlFile(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.ip_forward":                 "/proc/sys/net/ipv4/ip_forward",
		"net/ipv4/ip_forward":                 "/proc/sys/net/ipv4/ip_forward",
		"net/ipv4/conf/eth0.1/forwarding":     "/proc/sys/net/ipv4/conf/eth0.1/forwarding",
		"net.ipv4.conf.eth0/1.forwarding":     "/proc/sys/net/ipv4/conf/eth0.1/forwarding",
		"kernel.sem":                          "/proc/sys/kernel/sem",
		"fs.mqueue.msgsize_max":               "/proc/sys/fs/mqueue/msgsize_max",
		"net.ipv4.ip_unprivileged_port_start": "/proc/sys/net/ipv4/ip_unprivileged_port_start",
	} {
		got, err := sysctlFile(name, Net|IPC)
		if err != nil || filepath.ToSlash(got) != want {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
}

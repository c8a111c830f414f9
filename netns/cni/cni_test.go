package cni

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types/create"
)

func TestTheFirstConfigurationByNameIsUsed(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string) {
		t.Helper()
		l, err := load(dir, "")
		if err != nil {
			if want == "" || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
			return
		}
		if l.Name != want {
			t.Errorf("got %q, want %q", l.Name, want)
		}
	}
	expect("no network config found")
	write("00-readme.txt", "not a configuration")
	write("30-c.conflist", `{"cniVersion": "1.0.0", "name": "c", "plugins": [{"type": "bridge"}]}`)
	expect("c")
	write("20-b.conf", `{"cniVersion": "0.3.1", "name": "b", "type": "bridge"}`)
	expect("b")
	write("10-a.conflist", `{"cniVersion": "1.0.0", "name": "a", "plugins": [{"type": "../../bin/sh"}]}`)
	expect("no program's name")
	write("10-a.conflist", `{`)
	expect("10-a.conflist")
	write("10-a.conflist", `{"cniVersion": "1.0.0", "name": "a", "plugins": []}`)
	expect("no plugin")
	write("10-a.conflist", strings.Repeat(" ", 1<<20+1))
	expect("more than")
	l, err := load(dir, filepath.Join(dir, "30-c.conflist"))
	if err != nil || l.Name != "c" {
		t.Errorf("a given file: %v, %v", l, err)
	}
}

func TestConvert(t *testing.T) {
	for name, c := range map[string]struct{ result, addrs, err string }{
		"on the pod's interface":  {`{"interfaces": [{"name": "br"}, {"name": "eth0", "sandbox": "s"}], "ips": [{"address": "10.0.0.2/24", "interface": 1}, {"address": "10.0.0.1/24", "interface": 0}]}`, "[10.0.0.2/24]", ""},
		"without an interface":    {`{"ips": [{"address": "10.0.0.2/24"}]}`, "[10.0.0.2/24]", ""},
		"IPv4 first":              {`{"ips": [{"address": "fd::2/64"}, {"address": "10.0.0.2/24"}, {"address": "fd::3/64"}]}`, "[10.0.0.2/24 fd::2/64 fd::3/64]", ""},
		"none":                    {`{}`, "", "no address"},
		"of another interface":    {`{"interfaces": [{"name": "net1", "sandbox": "s"}], "ips": [{"address": "10.0.0.2/24", "interface": 0}]}`, "", "no address"},
		"of an interface too far": {`{"ips": [{"address": "10.0.0.2/24", "interface": 7}]}`, "", "interface 7 of 0"},
		"below zero":              {`{"ips": [{"address": "10.0.0.2/24", "interface": -1}]}`, "", "interface -1 of 0"},
		"multicast":               {`{"ips": [{"address": "224.0.0.1/24"}]}`, "", "cannot be a pod's"},
		"unspecified":             {`{"ips": [{"address": "0.0.0.0/0"}]}`, "", "cannot be a pod's"},
		"twice":                   {`{"ips": [{"address": "10.0.0.2/24"}, {"address": "10.0.0.2/16"}]}`, "", "occurs twice"},
		"a gateway that is none":  {`{"ips": [{"address": "10.0.0.2/24", "gateway": "127.0.0.1"}]}`, "", "no host's address"},
		"a line break in DNS":     {`{"ips": [{"address": "10.0.0.2/24"}], "dns": {"search": ["a\nnameserver 6.6.6.6"]}}`, "", "no word of a resolv.conf"},
		"a server that is none":   {`{"ips": [{"address": "10.0.0.2/24"}], "dns": {"nameservers": ["dns.example"]}}`, "", "is no address"},
	} {
		r, err := create.CreateFromBytes([]byte(`{"cniVersion": "1.0.0", ` + c.result[1:]))
		if c.result == `{}` {
			r, err = create.CreateFromBytes([]byte(`{"cniVersion": "1.0.0"}`))
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := convert(r, "eth0")
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: got %v, want %q", name, err, c.err)
			}
			continue
		}
		var addrs []string
		for _, a := range got.Addrs {
			addrs = append(addrs, a.String())
		}
		if s := "[" + strings.Join(addrs, " ") + "]"; err != nil || s != c.addrs {
			t.Errorf("%s: got %s, %v", name, s, err)
		}
	}
	if _, err := convert(nil, "eth0"); err == nil {
		t.Error("no result at all is accepted")
	}
}

func FuzzResult(f *testing.F) {
	f.Add([]byte(`{"cniVersion": "1.1.0", "interfaces": [{"name": "eth0", "sandbox": "s"}], "ips": [{"address": "10.0.0.2/24", "gateway": "10.0.0.1", "interface": 0}], "dns": {"nameservers": ["1.1.1.1"], "domain": "d"}}`))
	f.Add([]byte(`{"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.2/24"}}`))
	f.Add([]byte(`{"cniVersion": "1.0.0", "ips": [null], "interfaces": [null]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := create.CreateFromBytes(b)
		if err != nil {
			return
		}
		res, err := convert(r, "eth0")
		if err != nil {
			return
		}
		if len(res.Addrs) == 0 || len(res.Addrs) > mostAddresses {
			t.Fatalf("%d addresses", len(res.Addrs))
		}
		v6 := false
		for _, a := range res.Addrs {
			if !a.IsValid() || a.Addr().IsLoopback() || a.Addr().IsUnspecified() || a.Addr().Is4In6() || v6 && a.Addr().Is4() {
				t.Fatalf("%v", res.Addrs)
			}
			v6 = v6 || a.Addr().Is6()
		}
		for _, l := range [][]string{res.DNS.Servers, res.DNS.Searches, res.DNS.Options} {
			for _, w := range l {
				if f := strings.Fields(w); len(f) != 1 || f[0] != w {
					t.Fatalf("%q in DNS", w)
				}
			}
		}
	})
}

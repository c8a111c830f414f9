package hosts_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/remote/hosts"
)

// question is a line that the peer is asked: internal/peers/certsd.
type question struct{ Root, Domain string }

// answer is what somebody makes of a question.
type answer struct {
	// Error is what it fails with; Logged what it only writes to its log.
	Error, Logged string
	Hosts         []effect
}

// effect is a host as it would be asked. CAs are the common names of the
// authorities trusted beside the system's, Clients those of the certificates shown.
type effect struct {
	Scheme, Host, Path string
	Fallback           bool
	Can                []string
	CAs, Clients       []string
	SkipVerify         bool
	Header             http.Header
}

// containerd answers the questions as its own parser does. Without the peer the
// test is skipped, or fails where peers are demanded.
func containerd(t *testing.T, questions []question) []answer {
	t.Helper()
	peer, err := filepath.Abs("../../../.cache/peers/certsd")
	if err == nil {
		_, err = os.Stat(peer)
	}
	switch {
	case err != nil && os.Getenv("LIFEPOD_PEER_TESTS") == "1":
		t.Fatalf("LIFEPOD_PEER_TESTS=1, but %v: build it by hack/peers", err)
	case err != nil:
		t.Skipf("%v: build it by hack/peers", err)
	}
	var in bytes.Buffer
	for _, q := range questions {
		if err := json.NewEncoder(&in).Encode(q); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), peer)
	cmd.Stdin = &in
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("%v\n%s", err, exit.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	var all []answer
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var a answer
		if err := d.Decode(&a); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for i := range a.Hosts {
			a.Hosts[i].normalise()
		}
		all = append(all, a)
	}
	if len(all) != len(questions) {
		t.Fatalf("%d answers to %d questions", len(all), len(questions))
	}
	return all
}

// ours answers a question by this package.
func ours(q question) answer {
	list, err := hosts.Dir(q.Root)(q.Domain)
	if err != nil {
		return answer{Error: err.Error()}
	}
	var a answer
	for _, h := range hosts.Complete(list, q.Domain) {
		e := effect{
			Scheme: h.Scheme, Host: h.Host, Path: h.Path, Fallback: h.Fallback,
			SkipVerify: h.SkipVerify != nil && *h.SkipVerify, Header: h.Header,
		}
		for i, name := range []string{"pull", "resolve", "push", "referrers"} {
			if h.Can.Has(1 << i) {
				e.Can = append(e.Can, name)
			}
		}
		if err := e.load(h); err != nil {
			return answer{Error: err.Error()}
		}
		e.normalise()
		a.Hosts = append(a.Hosts, e)
	}
	return a
}

// load reads the files that a host names.
func (e *effect) load(h hosts.Host) error {
	for _, name := range h.CAs {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		block, _ := pem.Decode(b)
		if block == nil {
			return fmt.Errorf("%s: no PEM", name)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		e.CAs = append(e.CAs, cert.Subject.CommonName)
	}
	for _, pair := range h.Clients {
		if pair[1] == "" {
			pair[1] = pair[0]
		}
		cert, err := tls.LoadX509KeyPair(pair[0], pair[1])
		if err != nil {
			return err
		}
		e.Clients = append(e.Clients, cert.Leaf.Subject.CommonName)
	}
	return nil
}

// normalise makes equal what no registry can tell apart: slashes that the paths
// of requests do not keep, the order of authorities, headers without a value and
// the case of their names.
func (e *effect) normalise() {
	e.Path = path.Join("/", e.Path)
	slices.Sort(e.CAs)
	e.CAs = slices.Compact(e.CAs)
	h := http.Header{}
	for name, values := range e.Header {
		for _, v := range values {
			h.Add(name, v)
		}
	}
	for _, values := range h {
		slices.Sort(values)
	}
	e.Header = h
}

func (e effect) String() string {
	s := e.Scheme + "://" + e.Host + e.Path
	if e.Fallback {
		s += " or http"
	}
	s += fmt.Sprintf(" %v ca=%v client=%v skip=%v", e.Can, e.CAs, e.Clients, e.SkipVerify)
	var headers []string
	for name, values := range e.Header {
		headers = append(headers, fmt.Sprintf("%s=%q", name, values))
	}
	slices.Sort(headers)
	return s + " " + strings.Join(headers, " ")
}

func (a answer) String() string {
	if a.Error != "" {
		return "error"
	}
	var b strings.Builder
	for _, e := range a.Hosts {
		b.WriteString(e.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// full tells an error's text, too.
func (a answer) full() string {
	if a.Error != "" {
		return "error: " + a.Error
	}
	return a.String()
}

// tree is a root with the directories of registries in it.
type tree struct {
	t    *testing.T
	root string
	pems map[string][]byte
}

// newTree makes one. It knows the files that a hosts.toml can name: ca.pem and
// cb.pem are authorities, both.pem a certificate with its key, one.pem has its in
// one.key.
func newTree(t *testing.T) *tree {
	t.Helper()
	ca, err := imagetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	tr := &tree{t: t, root: t.TempDir(), pems: map[string][]byte{}}
	for _, name := range []string{"ca", "cb", "both", "one"} {
		cert, key, err := ca.Client(name)
		if err != nil {
			t.Fatal(err)
		}
		switch name {
		case "both":
			cert = slices.Concat(cert, key)
		case "one":
			tr.pems["one.key"] = key
		}
		tr.pems[name+".pem"] = cert
	}
	return tr
}

// put writes files into a directory of a root of its own: texts by name, where a
// text that names one of the PEM files stands for it.
func (tr *tree) put(n int, dir string, files map[string]string) (root string) {
	tr.t.Helper()
	root = filepath.Join(tr.root, fmt.Sprint(n))
	for name, text := range files {
		if b, ok := tr.pems[text]; ok {
			text = string(b)
		}
		name = filepath.Join(root, dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			tr.t.Fatal(err)
		}
	}
	return root
}

// beside is a hosts.toml with the PEM files beside it.
func (tr *tree) beside(toml string) map[string]string {
	files := map[string]string{"hosts.toml": toml}
	for name := range tr.pems {
		files[name] = name
	}
	return files
}

package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/lifepod/lifepod/image/remote"
	"github.com/lifepod/lifepod/image/remote/hosts"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// network is a network in memory: it answers for every host, and keeps what it
// was sent, as "METHOD URL header body".
type network struct {
	answer func(*http.Request) *http.Response
	mu     sync.Mutex
	sent   []string
}

func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	body := ""
	if req.Body != nil {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		body = string(b)
	}
	n.mu.Lock()
	n.sent = append(n.sent, fmt.Sprint(req.Method, " ", req.URL, " ", req.Header, " ", body))
	n.mu.Unlock()
	return n.answer(req), nil
}

// to lists what was sent to a host.
func (n *network) to(scheme, host string) []string {
	var all []string
	for _, s := range n.sent {
		if strings.Contains(s, " "+scheme+"://"+host+"/") {
			all = append(all, s)
		}
	}
	return all
}

func reply(code int, header, value, body string) *http.Response {
	h := http.Header{}
	if header != "" {
		h.Set(header, value)
	}
	return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// hello is the blob that all of these registries have.
var hello = ocispec.Descriptor{Digest: digest.FromString("hello"), Size: 5}

// over asks for hello at a registry of the network.
func over(n *network, domain string, a remote.Auth, plain bool, o remote.Options) error {
	o.Transport, o.Retries = n, -1
	c := remote.New(o)
	defer c.Close()
	return c.Repository(domain, "a/b", a, plain).Blob(context.Background(), hello, io.Discard)
}

var canary = remote.Auth{Username: "user", Password: "canary"}

// canaryForms are how the secret of canary may be written.
var canaryForms = []string{"canary", "dXNlcjpjYW5hcnk="}

func holds(s string, forms []string) bool {
	for _, f := range forms {
		if strings.Contains(s, f) {
			return true
		}
	}
	return false
}

// Credentials follow a redirect to where they came from and to nowhere else: no
// other name, port or scheme, and not back again.
func TestCredentialsStay(t *testing.T) {
	for name, c := range map[string]struct {
		start, to string // to may lead on with "→"
		plain     bool
		want      bool
	}{
		"the same":            {"registry.example", "https://registry.example/x", false, true},
		"in another case":     {"registry.example", "https://REGISTRY.example/x", false, false},
		"its port in words":   {"registry.example", "https://registry.example:443/x", false, true},
		"another host":        {"registry.example", "https://cdn.example/x", false, false},
		"a host below":        {"registry.example", "https://cdn.registry.example/x", false, false},
		"a host above":        {"cdn.registry.example", "https://registry.example/x", false, false},
		"another port":        {"registry.example", "https://registry.example:8443/x", false, false},
		"from port to none":   {"registry.example:8443", "https://registry.example/x", false, false},
		"to plain text":       {"registry.example:5000", "http://registry.example:5000/x", true, false},
		"to TLS":              {"registry.example:80", "https://registry.example/x", true, false}, // of another port
		"with another's user": {"registry.example", "https://eve:eve@cdn.example/x", false, false},
		"there and back":      {"registry.example", "https://cdn.example/x→https://registry.example/y", false, false},
		"through a port":      {"registry.example", "https://registry.example:8443/x→https://registry.example/y", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			var rest []string
			n := &network{answer: func(req *http.Request) *http.Response {
				switch {
				case strings.HasPrefix(req.URL.Path, "/v2/") && req.Header.Get("Authorization") == "":
					return reply(401, "WWW-Authenticate", `Basic realm="x"`, "")
				case strings.HasPrefix(req.URL.Path, "/v2/"):
					rest = strings.Split(c.to, "→")
				}
				if len(rest) == 0 {
					return reply(200, "", "", "hello")
				}
				to := rest[0]
				rest = rest[1:]
				return reply(307, "Location", to, "")
			}}
			if err := over(n, c.start, canary, c.plain, remote.Options{}); err != nil {
				t.Fatal(err)
			}
			last := n.sent[len(n.sent)-1]
			if got := holds(last, canaryForms); got != c.want {
				t.Errorf("with credentials: %v, want %v: %s", got, c.want, last)
			}
		})
	}
}

// Who is asked only because a redirect leads there gets no credentials by asking
// for them, neither itself nor through a token server that it names.
func TestChallengeAfterRedirect(t *testing.T) {
	for _, challenge := range []string{`Bearer realm="https://thief.example/token",service="x",scope="y"`, `Basic realm="x"`} {
		for _, gate := range []string{"", `Basic realm="x"`} {
			n := &network{answer: func(req *http.Request) *http.Response {
				switch {
				case req.URL.Host == "thief.example":
					return reply(200, "", "", `{"token":"x"}`)
				case req.URL.Host == "cdn.example":
					return reply(401, "WWW-Authenticate", challenge, "")
				case gate != "" && req.Header.Get("Authorization") == "":
					return reply(401, "WWW-Authenticate", gate, "")
				}
				return reply(307, "Location", "https://cdn.example/x?signature=secret", "")
			}}
			err := over(n, "registry.example", canary, false, remote.Options{})
			if !errors.Is(err, remote.ErrUnauthorized) || !strings.Contains(err.Error(), "of cdn.example, where it redirects to") || strings.Contains(err.Error(), "signature") {
				t.Errorf("%s: %v", challenge, err)
			}
			if got := n.to("https", "thief.example"); len(got) > 0 {
				t.Errorf("%s: a host that the redirect's target names was sent %q", challenge, got)
			}
			if got := n.to("https", "cdn.example"); len(got) != 1 || holds(got[0], canaryForms) {
				t.Errorf("%s: the redirect's target was sent %q", challenge, got)
			}
			if gate == "" && len(n.sent) != 2 {
				t.Errorf("%s: the registry did not ask, and was sent %q", challenge, n.sent)
			}
		}
	}
}

// A registry elsewhere leads nobody to this machine or its link: not by a
// redirect of a blob, not by the name or a redirect of a token server.
func TestNotToThisMachine(t *testing.T) {
	for _, to := range []string{"127.0.0.1", "127.9.9.9:8443", "[::1]", "localhost", "LOCALHOST.", "x.localhost:1", "0.0.0.0:2", "[::]",
		"[::ffff:127.0.0.1]", "169.254.169.254", "[fe80::1%25eth0]"} {
		for _, plain := range []bool{false, true} {
			for _, by := range []string{"redirect", "realm", "redirect of the token server"} {
				n := &network{}
				n.answer = func(req *http.Request) *http.Response {
					switch {
					case by == "redirect", req.URL.Host == "auth.example":
						return reply(302, "Location", "https://"+to+"/metadata", "")
					case by == "realm":
						return reply(401, "WWW-Authenticate", fmt.Sprintf(`Bearer realm="https://%s/metadata"`, to), "")
					}
					return reply(401, "WWW-Authenticate", `Bearer realm="https://auth.example/"`, "")
				}
				err := over(n, "registry.example", canary, plain, remote.Options{})
				if !errors.Is(err, remote.ErrInvalid) || !strings.Contains(err.Error(), "only this machine reaches") {
					t.Errorf("%s to %s: %v", by, to, err)
				}
				for _, s := range n.sent {
					if strings.Contains(s, "metadata") {
						t.Errorf("%s to %s: sent %s", by, to, s)
					}
				}
			}
		}
	}
}

// Credentials that are one host's go to no other of the registry's, of whatever
// kind they are.
func TestCredentialsOfOneHost(t *testing.T) {
	list := func(string) ([]hosts.Host, error) {
		return []hosts.Host{
			{Scheme: "https", Host: "mirror.example", Path: "/v2", Can: hosts.Pull},
			{Scheme: "https", Host: "registry.example", Path: "/v2", Can: hosts.Pull},
		}, nil
	}
	for kind, a := range map[string]remote.Auth{
		"password": canary, "registry token": {RegistryToken: "canary"}, "identity token": {IdentityToken: "canary"},
	} {
		for _, of := range []string{"", "mirror.example", "registry.example", "registry.example:443", "example"} {
			a.Host = of
			n := &network{}
			n.answer = func(req *http.Request) *http.Response {
				return reply(401, "WWW-Authenticate", fmt.Sprintf(`Bearer realm="https://auth.%s/", Basic realm="x"`, req.URL.Host), "")
			}
			if err := over(n, "registry.example", a, false, remote.Options{Hosts: list}); err == nil || holds(err.Error(), canaryForms) {
				t.Errorf("%s of %q: %v", kind, of, err)
			}
			for _, host := range []string{"mirror.example", "registry.example"} {
				sent := strings.Join(append(n.to("https", host), n.to("https", "auth."+host)...), "\n")
				if got, want := holds(sent, canaryForms), of == "" || of == host; got != want {
					t.Errorf("%s of %q: %s got it: %v\n%s", kind, of, host, got, sent)
				}
			}
		}
	}
}

// Headers that hosts.toml sets are for their host: a token server elsewhere gets
// none of them but the agent's name.
func TestHeadersStay(t *testing.T) {
	for realm, want := range map[string]bool{
		"https://registry.example/token": true, "https://auth.example/token": false,
		"https://registry.example:8443/token": false, "https://auth.registry.example/token": false,
	} {
		n := &network{answer: func(req *http.Request) *http.Response {
			if strings.HasSuffix(req.URL.Path, "/token") {
				return reply(200, "", "", `{"token":"x"}`)
			}
			if req.Header.Get("Authorization") != "Bearer x" {
				return reply(401, "WWW-Authenticate", fmt.Sprintf("Bearer realm=%q", realm), "")
			}
			return reply(200, "", "", "hello")
		}}
		o := remote.Options{Hosts: func(string) ([]hosts.Host, error) {
			return hosts.Parse([]byte("[header]\nprivate-token = 'canary'\ncookie = 'canary'\nuser-agent = 'me'"), "/")
		}}
		if err := over(n, "registry.example", remote.Auth{}, false, o); err != nil {
			t.Fatal(err)
		}
		for _, s := range n.sent {
			if own := !strings.Contains(s, "/token") || want; strings.Contains(s, "Private-Token:[canary]") != own || strings.Contains(s, "Cookie:[canary]") != own {
				t.Errorf("realm %s: sent %s", realm, s)
			}
			if !strings.Contains(s, "User-Agent:[me]") {
				t.Errorf("realm %s: no agent in %s", realm, s)
			}
		}
	}
}

// What comes from outside never makes a header or a line of its own: not a
// challenge's words, and not a secret that no header can carry.
func TestNoHeaderIsInjected(t *testing.T) {
	evil := "x\r\nX-Evil: 1"
	for name, c := range map[string]struct {
		auth      remote.Auth
		challenge string
		ok        bool
	}{
		"user and password": {remote.Auth{Username: evil, Password: evil}, `Basic realm="x"`, true},
		"identity token":    {remote.Auth{IdentityToken: evil}, `Bearer realm="https://auth.example/"`, true},
		"registry token":    {remote.Auth{RegistryToken: evil}, `Bearer realm="https://auth.example/"`, false},
		"service":           {canary, "Bearer realm=\"https://auth.example/\",service=\"" + evil + "\"", true},
		"scope":             {canary, "Bearer realm=\"https://auth.example/\",scope=\"" + evil + "\"", true},
		"realm":             {canary, "Bearer realm=\"https://auth.example/" + evil + "\"", false},
		"realm's host":      {canary, "Bearer realm=\"https://auth.example" + evil + "/\"", false},
	} {
		var got []string
		reg := httptest.NewUnstartedServer(nil)
		reg.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = append(got, fmt.Sprint(r.Header))
			if _, err := w.Write([]byte("hello")); err != nil {
				t.Error(err)
			}
		})
		reg.Start()
		// The challenge comes from memory, since no server could write it; what
		// answers it goes over a wire.
		n := &network{}
		n.answer = func(req *http.Request) *http.Response {
			switch {
			case req.URL.Host == "auth.example":
				return reply(200, "", "", `{"token":"x"}`)
			case req.Header.Get("Authorization") == "":
				r := reply(401, "", "", "")
				r.Header["Www-Authenticate"] = []string{c.challenge}
				return r
			}
			wire := req.Clone(req.Context())
			wire.URL = &url.URL{Scheme: "http", Host: reg.Listener.Addr().String(), Path: "/"}
			resp, err := http.DefaultTransport.RoundTrip(wire)
			if err != nil {
				return reply(500, "", "", err.Error())
			}
			return resp
		}
		err := over(n, "registry.example", c.auth, false, remote.Options{})
		reg.Close()
		if (err == nil) != c.ok {
			t.Errorf("%s: error %v", name, err)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%s: several lines in %q", name, err)
		}
		for _, s := range append(got, n.sent...) {
			if strings.Contains(s, "X-Evil:[") || strings.Contains(strings.SplitN(s, " ", 3)[1], evil) {
				t.Errorf("%s: sent %q", name, s)
			}
		}
	}
}

// An error leads nobody to an address that may be signed, however it is asked.
func TestErrorsHoldNoURL(t *testing.T) {
	n := &network{answer: func(*http.Request) *http.Response {
		return reply(307, "Location", "https://cdn.example/x?signature=secret", "")
	}}
	err := over(n, "registry.example", canary, false, remote.Options{})
	if err == nil || !strings.Contains(err.Error(), "redirects") {
		t.Fatalf("error %v", err)
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, "signature") {
			t.Errorf("%T: %s", e, text)
		}
	}
}

package hosts

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// line writes a host so that tables stay readable.
func line(h Host) string {
	s := fmt.Sprintf("%s://%s%s", h.Scheme, h.Host, h.Path)
	if h.Fallback {
		s += " or http"
	}
	if h.Can != all {
		s += fmt.Sprintf(" can=%04b", h.Can)
	}
	for _, ca := range h.CAs {
		s += " ca=" + ca
	}
	for _, p := range h.Clients {
		s += " client=" + strings.Trim(strings.Join(p[:], ","), ",")
	}
	if h.SkipVerify != nil {
		s += fmt.Sprintf(" skip=%v", *h.SkipVerify)
	}
	for _, name := range slices.Sorted(maps.Keys(h.Header)) {
		s += fmt.Sprintf(" %s=%s", name, strings.Join(h.Header[name], ","))
	}
	if h.DialTimeout != 0 {
		s += " dial=" + h.DialTimeout.String()
	}
	return s
}

func lines(list []Host) string {
	var all []string
	for _, h := range list {
		all = append(all, line(h))
	}
	return strings.Join(all, "\n")
}

// What containerd 2.4 reads from the same text.
func TestParse(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":                   {"# nothing", "://"},
		"a server":                  {`server = "https://registry.example"`, "https://registry.example/v2"},
		"a server without a scheme": {`server = "registry.example:5000"`, "https://registry.example:5000/v2"},
		"a server by http":          {`server = "http://registry.example"`, "http://registry.example/v2"},
		"a path":                    {`server = "https://registry.example/us"`, "https://registry.example/us/v2"},
		"a path with v2":            {`server = "https://registry.example/us/v2/"`, "https://registry.example/us/v2"},
		"a path of its own":         {"server = \"https://registry.example/v2/prefix\"\noverride_path = true", "https://registry.example/v2/prefix"},
		"no path at all":            {"server = \"https://registry.example\"\noverride_path = true", "https://registry.example"},
		"the order of the file": {`
			server = "https://last"
			[host."https://b"]
			capabilities = ["pull"]
			[host."http://a"]
			capabilities = ["Pull", "resolve"]
			[host."https://b/us"]
			capabilities = ["push", "referrers"]`,
			"https://b/v2 can=0001\nhttp://a/v2 can=0011\nhttps://b/us/v2 can=1100\nhttps://last/v2"},
		"headers alone": {`
			[host."https://m".header]
			x-one = "1"
			x-two = ["2", "3"]
			[header]
			x-own = "own"`,
			"https://m/v2 X-One=1 X-Two=2,3\n:// X-Own=own"},
		"headers after another host": {`
			[host."https://a"]
			[host."https://b"]
			[host."https://a".header]
			x = "1"`,
			"https://a/v2 X=1\nhttps://b/v2\n://"},
		"certificates": {`
			ca = "/own.pem"
			[host."https://one"]
			ca = ["/a.pem", "b.pem"]
			client = "/one.pem"
			skip_verify = false
			[host."https://two"]
			client = ["/one.pem", "two.pem"]
			skip_verify = true
			[host."https://three"]
			client = [["/c.cert", "/c.key"], ["d.pem", ""]]`,
			"https://one/v2 ca=/a.pem ca=/dir/b.pem client=/one.pem skip=false\n" +
				"https://two/v2 client=/one.pem client=/dir/two.pem skip=true\n" +
				"https://three/v2 client=/c.cert,/c.key client=/dir/d.pem\n" +
				":// ca=/own.pem"},
		"a limit": {"[host.\"https://m\"]\ndial_timeout = \"3s\"", "https://m/v2 dial=3s\n://"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(c.text), "/dir")
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 0 || got[len(got)-1].Host == "" {
				got[len(got)-1].Can, got[len(got)-1].Path = all, ""
			}
			if lines(got) != c.want {
				t.Errorf("got\n%s\nwant\n%s", lines(got), c.want)
			}
		})
	}
}

// What cannot be read, or not be honoured, is refused by name.
func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no TOML":            {"server = ", "line 1"},
		"an unknown key":     {"server = \"a\"\n\nskip_verfy = true", `line 3: unknown key "skip_verfy"`},
		"one of a host":      {"[host.a]\nmirror = 1", `line 2: unknown key "host.a.mirror"`},
		"a capability":       {"[host.a]\ncapabilities = [\"fly\"]", `host "a": capability "fly" is none of`},
		"a type":             {"skip_verify = \"yes\"", "line 1"},
		"a CA":               {"ca = 1", "ca is neither a string nor a list of strings"},
		"a CA in a list":     {"ca = [1]", "ca is neither"},
		"a client":           {"client = {a = 1}", "client is none of"},
		"a client of three":  {"client = [[\"a\", \"b\", \"c\"]]", "client is none of"},
		"a client of none":   {"client = [[]]", "client is none of"},
		"a header":           {"[header]\na = 1", `header "a" is neither`},
		"a header's name":    {"[header]\n\"a b\" = \"1\"", `header "a b" cannot be set`},
		"the host header":    {"[header]\nhost = \"b\"", `header "host" cannot be set`},
		"a header's value":   {"[header]\na = \"secret\\n\"", `header "a" has a value that cannot be sent`},
		"a limit":            {"dial_timeout = \"soon\"", `dial_timeout "soon" is no duration`},
		"a limit below zero": {"dial_timeout = \"-1s\"", `dial_timeout "-1s" is no duration`},
		"a URL":              {"server = \"https://%zz\"", `server "https://%zz": is no URL`},
		"a user":             {"server = \"https://user:secret@a\"", `server "https://…@a": holds a user`},
		"a mirror's user":    {"[host.\"user:secret@a\"]", `host "…@a": holds a user`},
		"a user, no URL":     {"server = \"https://user:secret@%zz\"", `server "https://…@%zz": is no URL`},
		"a user inline":      {"host = {\"https://user:secret@a\" = {}}", `host "https://…@a" is not a table`},
		"a user, a key":      {"[host.\"https://user:secret@a\"]\nmirror = 1", `unknown key "host.https://…@a.mirror"`},
		"http, no scheme":    {"[host.\"httpd.example\"]", `host "httpd.example": begins with http, but not with http:// or https://`},
		"a query":            {"server = \"https://a?b=c\"", "more than a path"},
		"a host inline":      {"host = {\"https://a\" = {}}", `host "https://a" is not a table of its own`},
		"a host of no name":  {"[host.\"https:///v2\"]", "names no host"},
		"twice":              {"[host.a]\n[host.a]", "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.text), "/dir")
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// A registry's own address, as containerd completes it.
func TestComplete(t *testing.T) {
	for domain, want := range map[string]string{
		"docker.io":             "https://registry-1.docker.io/v2",
		"registry.example":      "https://registry.example/v2",
		"registry.example:5000": "https://registry.example:5000/v2",
		"localhost":             "https://localhost/v2 skip=true",
		"localhost:443":         "https://localhost:443/v2 skip=true",
		"localhost:80":          "http://localhost:80/v2",
		"localhost:5000":        "https://localhost:5000/v2 or http skip=true",
		"127.0.0.254":           "https://127.0.0.254/v2 skip=true",
		"127.0.0.254:5000":      "https://127.0.0.254:5000/v2 or http skip=true",
		"[::1]:5000":            "https://[::1]:5000/v2 or http skip=true",
	} {
		if got := lines(Complete(nil, domain)); got != want {
			t.Errorf("%s: got %s, want %s", domain, got, want)
		}
	}
	yes := true
	got := Complete([]Host{
		{Scheme: "http", Host: "a", Path: "/v2", Can: Pull},
		{Scheme: "http", Host: "b", Path: "/v2", Can: Pull, SkipVerify: &yes},
		{Scheme: "http", Host: "c:80", Path: "/v2", Can: Pull, CAs: []string{"/x"}},
		{Can: Pull},
	}, "docker.io")
	want := "http://a/v2 can=0001\nhttps://b/v2 or http can=0001 skip=true\nhttp://c:80/v2 can=0001 ca=/x\nhttps://registry-1.docker.io/v2"
	if lines(got) != want {
		t.Errorf("got\n%s\nwant\n%s", lines(got), want)
	}
	if !got[0].Proxy("docker.io") || got[3].Proxy("docker.io") || !got[3].Proxy("a.example") {
		t.Error("a mirror is told which registry is meant, and nobody else")
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDir(t *testing.T) {
	root, second := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		"a.example:5000/hosts.toml":  "server = 'https://colon'",
		"a.example_5000_/hosts.toml": "server = 'https://underscore'",
		"b.example:5000/hosts.toml":  "server = 'https://colon'",
		"c.example/hosts.toml":       "[host.'https://mirror']",
		"broken.example/hosts.toml":  "server = 1",
		"empty.example/hosts.toml":   "",
		"docker.example/ca.crt":      "", "docker.example/b.cert": "", "docker.example/b.key": "", "docker.example/c.cert": "", "docker.example/README": "",
	} {
		write(t, filepath.Join(root, name), text)
	}
	write(t, filepath.Join(second, "_default", "hosts.toml"), "server = 'https://default'")
	write(t, filepath.Join(second, "c.example", "hosts.toml"), "server = 'https://shadowed'")
	for domain, want := range map[string]string{
		"a.example:5000":  "https://underscore/v2",
		"b.example:5000":  "https://colon/v2",
		"c.example":       "https://mirror/v2\nhttps://c.example/v2",
		"other.example":   "https://default/v2",
		"other:5000":      "https://default/v2",
		"empty.example":   "https://empty.example/v2",
		"docker.example":  "https://docker.example/v2 ca=ROOT/docker.example/ca.crt client=ROOT/docker.example/b.cert,ROOT/docker.example/b.key client=ROOT/docker.example/c.cert",
		"broken.example":  "error: hosts of broken.example: ROOT/broken.example/hosts.toml: line 1",
		"..":              `error: hosts of ..: ".." is no registry`,
		"../c.example":    `error: hosts of ../c.example: "../c.example" is no registry`,
		"":                "error: hosts of ",
		"c.example/a\x00": "error: hosts of c.example/a",
	} {
		list, err := Dir(root, second)(domain)
		got := lines(list)
		if err != nil {
			got = "error: " + err.Error()
		}
		got = strings.ReplaceAll(got, root, "ROOT")
		if got != want && !(err != nil && strings.HasPrefix(want, "error: ") && strings.HasPrefix(got, want)) {
			t.Errorf("%q: got\n%s\nwant\n%s", domain, got, want)
		}
	}
	if list, err := Dir(root)("other.example"); list != nil || err != nil {
		t.Errorf("a registry of which nothing is said: %v, %v", list, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("server = 'a'\nca = 'x'\n[host.'https://b']\nclient = [['a', 'b']]\n[host.'https://b'.header]\na = ['1']")
	f.Add("[host.a]\ncapabilities = ['pull']\nskip_verify = true\ndial_timeout = '1s'\noverride_path = true")
	f.Add("host = {a = {}}")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Parse([]byte(text), "/dir")
		if err != nil {
			return
		}
		for i, h := range Complete(list, "registry.example") {
			if h.Scheme != "http" && h.Scheme != "https" || h.Host == "" || h.Can == 0 || h.Path != "" && h.Path[0] != '/' {
				t.Errorf("host %d: %s", i, line(h))
			}
			for _, name := range h.CAs {
				if !filepath.IsAbs(name) {
					t.Errorf("host %d: %s is relative", i, name)
				}
			}
		}
	})
}

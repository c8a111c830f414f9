package hosts_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// domains are registries of all kinds that matter.
var domains = []string{
	"registry.example", "registry.example:5000", "registry.example:80", "docker.io", "localhost", "localhost:80",
	"localhost:443", "localhost:5000", "127.0.0.1", "127.8.9.1:5000", "[::1]:5000", "localhost.example", "10.0.0.1:5000",
	"127.0.0.1.example", "Localhost:5000", "localhost.:5000", "0.0.0.0:5000", "[::ffff:127.0.0.1]:5000",
}

// dirOf is the directory in which one registry is configured, in any of the ways.
func dirOf(r *rand.Rand, domain string) string {
	host, port, ok := strings.Cut(domain, ":")
	if ok && !strings.HasPrefix(domain, "[") && r.IntN(2) == 0 {
		return host + "_" + port + "_"
	}
	return pick(r, domain, domain, "_default")
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// some picks up to n, each any number of times.
func some(r *rand.Rand, n int, of ...string) []string {
	var out []string
	for range r.IntN(n + 1) {
		out = append(out, pick(r, of...))
	}
	return out
}

func quoted(list []string) string {
	for i, s := range list {
		list[i] = strconv.Quote(s)
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// address is a URL, or less, that names a host.
func address(r *rand.Rand) string {
	scheme := pick(r, "https://", "http://", "")
	host := pick(r, "m.example", "m.example:80", "m.example:443", "n.example:5000", "localhost:5000", "127.0.0.1", "[::1]:5000", "docker.io", "registry.example")
	return scheme + host + pick(r, "", "", "/", "/v2", "/v2/", "/a/b", "/a//b/../c/v2", "/v2/a", "/a/v2/", "//", "/%41")
}

// says is what a file says of one host, as the lines of a table in any order.
func says(r *rand.Rand, name string) []string {
	list := []string{
		"capabilities = " + quoted(some(r, 4, "pull", "resolve", "push", "referrers", "Pull", "RESOLVE")),
		"ca = " + pick(r, `"ca.pem"`, `'cb.pem'`, `["ca.pem", "cb.pem"]`, `["ca.pem"]`, `[]`),
		"client = " + pick(r, `"both.pem"`, `["both.pem"]`, `[["one.pem", "one.key"]]`, `["both.pem", ["one.pem", "one.key"]]`, `[]`),
		fmt.Sprintf("skip_verify = %v", r.IntN(2) == 0),
		fmt.Sprintf("override_path = %v", r.IntN(2) == 0),
		"dial_timeout = " + pick(r, `"3s"`, `"1.5h"`, `""`, `"0s"`),
		pick(r, "# nothing", "", "  "),
	}
	r.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
	list = list[:r.IntN(len(list)+1)]
	if r.IntN(3) == 0 {
		headers := fmt.Sprintf("X-A = %s\nX-%c = [%q, \"\"]", pick(r, `"1"`, `["1", "2"]`, `[]`), 'B'+rune(r.IntN(3)), "é")
		list = append(list, "["+name+"header]\n"+headers)
	}
	return list
}

// randomFile is a hosts.toml that containerd understands whole.
func randomFile(r *rand.Rand) string {
	var lines []string
	if r.IntN(2) == 0 {
		lines = append(lines, fmt.Sprintf("server = %q", address(r)))
	}
	lines = append(lines, says(r, "")...)
	var seen []string
	for range r.IntN(4) {
		a := address(r)
		if slices.Contains(seen, a) {
			continue
		}
		seen = append(seen, a)
		key := "host." + pick(r, strconv.Quote(a), "'"+a+"'")
		body := says(r, key+".")
		if len(body) == 0 || !strings.HasPrefix(body[0], "[") || r.IntN(2) == 0 { // or its headers alone
			lines = append(lines, "["+key+"]")
		}
		lines = append(lines, body...)
	}
	return strings.Join(lines, pick(r, "\n", "\r\n")) + pick(r, "", "\n")
}

// seed is where random tests begin: LIFEPOD_SEED, or 0.
func seed() uint64 {
	n, _ := strconv.ParseUint(os.Getenv("LIFEPOD_SEED"), 10, 64)
	return n
}

// Whatever files containerd reads whole, we read as it does.
func TestRandomFilesAsContainerd(t *testing.T) {
	const number = 500
	tr := newTree(t)
	var questions []question
	var texts []string
	for i := range number {
		r := rand.New(rand.NewPCG(seed()+uint64(i), 1))
		domain, text := pick(r, domains...), randomFile(r)
		root := tr.put(i, dirOf(r, domain), tr.beside(text))
		questions, texts = append(questions, question{root, domain}), append(texts, text)
	}
	several := 0
	for i, want := range containerd(t, questions) {
		got := ours(questions[i])
		if got.String() != want.String() || want.Error != "" || want.Logged != "" {
			t.Errorf("seed %d: %s\n%s\nwe: %s%s\ncontainerd: %s%s%s", seed()+uint64(i), questions[i].Domain, texts[i], got.Error, got, want.Error, want.Logged, want)
		}
		if len(want.Hosts) > 1 {
			several++
		}
	}
	if several < number/4 {
		t.Errorf("%d of %d files have several hosts", several, number)
	}
}

// mutate changes a file as a slip of the pen would: bytes, lines, pieces of the
// syntax in wrong places.
func mutate(r *rand.Rand, text string) string {
	for range 1 + r.IntN(3) {
		i := r.IntN(len(text) + 1)
		k := min(i+r.IntN(6), len(text))
		switch r.IntN(4) {
		case 0:
			text = text[:i] + text[k:]
		case 1:
			text = text[:i] + pick(r, `"`, "'", "[", "]", "\n", "=", ".", "#", " ", "\\", "é", "\x00", "host", "header", "/", "@", "?a", "{", ",", "http", `""`) + text[i:]
		case 2:
			text = text[:i] + text[k:] + text[i:k]
		default: // a line again, elsewhere
			lines := strings.Split(text, "\n")
			text = strings.Join(slices.Insert(lines, r.IntN(len(lines)), pick(r, lines...)), "\n")
		}
	}
	return text
}

// Of files with slips in them we accept none that containerd does not read, and
// read what we accept as it does.
func TestSlipsAsContainerd(t *testing.T) {
	const number = 500
	tr := newTree(t)
	var questions []question
	var texts []string
	for i := range number {
		r := rand.New(rand.NewPCG(seed()+uint64(i), 2))
		text := mutate(r, randomFile(r))
		questions, texts = append(questions, question{tr.put(i, "a.example", tr.beside(text)), "a.example"}), append(texts, text)
	}
	accepted := 0
	for i, want := range containerd(t, questions) {
		got := ours(questions[i])
		if got.Error != "" {
			continue
		}
		accepted++
		if got.String() != want.String() || want.Error != "" || want.Logged != "" {
			t.Errorf("seed %d:\n%s\nwe: %s%s\ncontainerd: %s%s%s", seed()+uint64(i), texts[i], got.Error, got, want.Error, want.Logged, want)
		}
	}
	if accepted < number/10 {
		t.Errorf("%d of %d were accepted", accepted, number)
	}
}

// Where containerd and we differ, by the names of DIFFERENCES.md. What is said of
// either is a part of its answer.
func TestDifferencesFromContainerd(t *testing.T) {
	const refused, fallsBack = "error: ", "https://a.example/v2 [pull resolve push referrers] ca=[] client=[] skip=false"
	tr := newTree(t)
	for i, c := range []struct {
		name, domain, toml string
		ours, theirs       string
		logged             bool
	}{
		{"a broken file", "a.example", "server = 1", refused + "hosts of a.example", fallsBack, true},
		{"a broken file: a capability", "a.example", "capabilities = ['fly']", refused + "hosts of", fallsBack, true},
		{"a broken file: a repeated table", "a.example", "[host.a]\n[host.a]", refused + "hosts of", fallsBack, true},
		{"an unknown key", "a.example", "server = 'm'\nskip_verfy = true", refused + `hosts of a.example: `, "https://m/v2", false},
		{"a host that is no table of its own", "a.example", "host = {'m' = {capabilities = ['pull']}}", refused + "hosts of", fallsBack, false},
		{"a host that is no table of its own: dotted", "a.example", "host.'m'.override_path = true", refused + "hosts of", fallsBack, false},
		{"a host in two places", "a.example", "[host.m]\n[host.n]\n[host.m.header]\na = '1'",
			"https://m/v2 [pull resolve push referrers] ca=[] client=[] skip=false A=[\"1\"]\nhttps://n/v2 [pull resolve push referrers] ca=[] client=[] skip=false \nhttps://a.example", "https://m/v2 [pull resolve push referrers] ca=[] client=[] skip=false A=[\"1\"]\nhttps://n/v2 [pull resolve push referrers] ca=[] client=[] skip=false \nhttps://m/v2", false},
		{"an empty key of a client", "a.example", "client = [['both.pem', '']]", "client=[both]", refused + "unable to read CERT", false},
		{"more than a host and a path: a user", "a.example", "server = 'https://user:secret@m'", refused + "hosts of", "https://m/v2", false},
		{"more than a host and a path: a query", "a.example", "server = 'https://m/v2?a=b'", refused + "hosts of", "https://m/v2", false},
		{"a host without a name", "a.example", "[host.'https:///v2']", refused + "hosts of", "https:///v2 ", false},
		{"a host without a name: a server", "a.example", "server = 'https:///v2'", refused + "hosts of", fallsBack, false},
		{"a host without a name: of http", "a.example", "[host.'httpd.example']", refused + "hosts of", ":///httpd.example", false},
		{"a header that cannot be sent", "a.example", "[header]\n'a b' = '1'", refused + "hosts of", `a b=["1"]`, false},
		{"a header that cannot be sent: Host", "a.example", "[header]\nhost = 'm'", refused + "hosts of", `Host=["m"]`, false},
		{"a negative dial_timeout", "a.example", "dial_timeout = '-1s'", refused + "hosts of", fallsBack, false},
		{"[::1] without a port", "[::1]", "", "https://[::1]/v2 [pull resolve push referrers] ca=[] client=[] skip=true", "skip=false", false},
		{"a domain that is a path", "..", "", refused, "https://../v2", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := question{tr.put(i, "a.example", tr.beside(c.toml)), c.domain}
			theirs, got := containerd(t, []question{q})[0], ours(q)
			if text := got.full(); !strings.Contains(text, c.ours) || strings.Contains(text, "secret") {
				t.Errorf("we: %s\nwant %s", text, c.ours)
			}
			if text := theirs.full(); !strings.Contains(text, c.theirs) || c.logged != (theirs.Logged != "") {
				t.Errorf("containerd: %s\nwant %s, logged %q", text, c.theirs, theirs.Logged)
			}
		})
	}
}

// Docker's layout of certificates, and a file that is empty, are read alike.
func TestCertificatesAsContainerd(t *testing.T) {
	tr := newTree(t)
	var questions []question
	for i, files := range []map[string]string{
		{},
		{"hosts.toml": ""},
		{"hosts.toml": "", "a.crt": "ca.pem", "b.crt": "cb.pem"},
		{"a.crt": "ca.pem", "x.cert": "both.pem", "y.cert": "one.pem", "y.key": "one.key", "README": "x"},
		{"x.cert": "one.pem"}, // without its key
		{"a.crt": "no PEM"},
		{"a.crt/x": "ca.pem"},
	} {
		for k, domain := range domains {
			questions = append(questions, question{tr.put(100*i+k, dirOf(rand.New(rand.NewPCG(uint64(i), uint64(k))), domain), files), domain})
		}
	}
	questions = append(questions, question{tr.root + "/none", "a.example"}, question{tr.put(1e4, "_default", tr.beside("[host.m]")), "a.example_5000_"})
	for i, want := range containerd(t, questions) {
		if got := ours(questions[i]); got.String() != want.String() || want.Logged != "" {
			t.Errorf("%v\nwe: %s\ncontainerd: %s%s", questions[i], got.full(), want.full(), want.Logged)
		}
	}
}

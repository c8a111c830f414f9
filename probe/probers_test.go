package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

var errCut = errors.New("cut off")

// at is where a test server listens.
func at(t *testing.T, raw string) (host string, port int) {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	port, _ = strconv.Atoi(u.Port())
	return u.Hostname(), port
}

// closedPort is one that nobody listens on.
func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func web(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/ok":
		fmt.Fprint(w, "all well")
	case "/status":
		code, _ := strconv.Atoi(r.URL.Query().Get("code"))
		w.WriteHeader(code)
		fmt.Fprint(w, "top secret")
	case "/hop":
		http.Redirect(w, r, "/ok", http.StatusFound)
	case "/away":
		w.Header().Set("Location", "http://elsewhere.invalid/")
		w.WriteHeader(http.StatusFound)
		fmt.Fprint(w, "over there")
	case "/loop":
		http.Redirect(w, r, "/loop", http.StatusFound)
	case "/headers":
		fmt.Fprintf(w, "host=%s ua=%s accept=%q x=%q enc=%q conn=%q", r.Host, r.UserAgent(), r.Header["Accept"], r.Header["X"],
			r.Header["Accept-Encoding"], r.Header["Connection"])
	case "/long":
		fmt.Fprint(w, strings.Repeat("x", 3*maxOutput))
	case "/short":
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "not 100")
	case "/query":
		fmt.Fprint(w, r.URL.RawQuery)
	}
}

func TestHTTP(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(web))
	defer srv.Close()
	host, port := at(t, srv.URL)
	for name, c := range map[string]struct {
		probe   HTTP
		outcome Outcome
		message string
	}{
		"200":                    {HTTP{Path: "/ok"}, Success, "all well"},
		"a path without a slash": {HTTP{Path: "ok"}, Success, "all well"},
		"query":                  {HTTP{Path: "/query?a=b&c"}, Success, "a=b&c"},
		"399 is success":         {HTTP{Path: "/status?code=399"}, Warning, "Probe terminated redirects, Response body: top secret"},
		"204":                    {HTTP{Path: "/status?code=204"}, Success, ""},
		"400 without the body":   {HTTP{Path: "/status?code=400"}, Failure, "HTTP probe failed with statuscode: 400"},
		"500 without the body":   {HTTP{Path: "/status?code=500"}, Failure, "HTTP probe failed with statuscode: 500"},
		"redirect to itself":     {HTTP{Path: "/hop"}, Success, "all well"},
		"redirect elsewhere":     {HTTP{Path: "/away"}, Warning, "Probe terminated redirects, Response body: over there"},
		"redirect without end":   {HTTP{Path: "/loop"}, Failure, `Get "/loop": stopped after 10 redirects`},
		"default headers": {HTTP{Path: "/headers"}, Success,
			fmt.Sprintf(`host=%s ua=kube-probe/1.37 accept=["*/*"] x=[] enc=[] conn=["close"]`, net.JoinHostPort(host, strconv.Itoa(port)))},
		"own headers": {HTTP{Path: "/headers", Header: http.Header{"Host": {"web.example"}, "User-Agent": {"me"}, "Accept": {""}, "X": {"1", "2"}}}, Success,
			`host=web.example ua=me accept=[] x=["1" "2"] enc=[] conn=["close"]`},
		"long body is cut": {HTTP{Path: "/long"}, Success, strings.Repeat("x", maxOutput)},
	} {
		c.probe.Host, c.probe.Port = host, port
		out, msg, err := c.probe.Probe(t.Context())
		if out != c.outcome || msg != c.message || err != nil {
			t.Errorf("%s: got %s %q %v, want %s %q", name, out, msg, err, c.outcome, c.message)
		}
	}
}

func TestHTTPBrokenBodyIsNoAnswer(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(web))
	defer srv.Close()
	host, port := at(t, srv.URL)
	out, msg, err := HTTP{Host: host, Port: port, Path: "/short"}.Probe(t.Context())
	if out != Failure || msg != "" || err == nil {
		t.Errorf("got %s %q %v", out, msg, err)
	}
}

func TestHTTPSIsNotVerified(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(web))
	defer srv.Close()
	host, port := at(t, srv.URL)
	if out, msg, err := (HTTP{Scheme: "HTTPS", Host: host, Port: port, Path: "/ok"}).Probe(t.Context()); out != Success || err != nil {
		t.Errorf("got %s %q %v", out, msg, err)
	}
}

func TestHTTPUsesNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	srv := httptest.NewServer(http.HandlerFunc(web))
	defer srv.Close()
	host, port := at(t, srv.URL)
	if out, _, _ := (HTTP{Host: host, Port: port, Path: "/ok"}).Probe(t.Context()); out != Success {
		t.Error(out)
	}
}

func TestRefusedAndSilent(t *testing.T) {
	port := closedPort(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	mute := silent.Addr().(*net.TCPAddr).Port
	const short = 50 * time.Millisecond
	for name, c := range map[string]struct {
		probe   Prober
		outcome Outcome
		message string
	}{
		"tcp refused":  {TCP{Host: "127.0.0.1", Port: port}, Failure, fmt.Sprintf("dial tcp 127.0.0.1:%d: connect: connection refused", port)},
		"tcp open":     {TCP{Host: "127.0.0.1", Port: mute}, Success, ""},
		"http refused": {HTTP{Host: "127.0.0.1", Port: port, Path: "/x"}, Failure, fmt.Sprintf(`Get "http://127.0.0.1:%d/x": dial tcp 127.0.0.1:%[1]d: connect: connection refused`, port)},
		"http silent": {HTTP{Host: "127.0.0.1", Port: mute, Path: "/", Timeout: short}, Failure,
			fmt.Sprintf(`Get "http://127.0.0.1:%d/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`, mute)},
	} {
		out, msg, err := c.probe.Probe(t.Context())
		if out != c.outcome || msg != c.message || err != nil {
			t.Errorf("%s: got %s %q %v, want %s %q", name, out, msg, err, c.outcome, c.message)
		}
	}
}

func TestCancelledIsNoAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, p := range map[string]Prober{
		"http": HTTP{Host: "127.0.0.1", Port: 1},
		"tcp":  TCP{Host: "127.0.0.1", Port: 1},
		"exec": Exec{Run: func(ctx context.Context, _ []string, _ time.Duration) ([]byte, int, error) { return nil, 0, ctx.Err() }},
	} {
		if out, _, err := p.Probe(ctx); out != Unknown || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %s, %v", name, out, err)
		}
	}
}

func TestExec(t *testing.T) {
	for name, c := range map[string]struct {
		out     string
		code    int
		err     error
		outcome Outcome
		message string
		wrong   bool
	}{
		"exit 0":      {"fine", 0, nil, Success, "fine", false},
		"exit 1":      {"sick", 1, nil, Failure, "sick", false},
		"long output": {strings.Repeat("y", 3*maxOutput), 1, nil, Failure, strings.Repeat("y", maxOutput), false},
		"timeout":     {"", 0, fmt.Errorf("exec: %w", context.DeadlineExceeded), Failure, `command timed out: "live --now" timed out after 2s`, false},
		"no runtime":  {"", 0, errCut, Unknown, "", true},
	} {
		p := Exec{Command: []string{"live", "--now"}, Timeout: 2 * time.Second, Run: func(_ context.Context, cmd []string, d time.Duration) ([]byte, int, error) {
			if strings.Join(cmd, " ") != "live --now" || d != 2*time.Second {
				t.Errorf("%s: ran %v for %v", name, cmd, d)
			}
			return []byte(c.out), c.code, c.err
		}}
		out, msg, err := p.Probe(t.Context())
		if out != c.outcome || msg != c.message || (err != nil) != c.wrong {
			t.Errorf("%s: got %s %q %v", name, out, msg, err)
		}
	}
}

func TestRunTriesThreeTimes(t *testing.T) {
	n := 0
	flaky := Func(func(context.Context) (Outcome, string, error) {
		if n++; n < 3 {
			return "", "", errCut
		}
		return Success, "", nil
	})
	if out, _, err := Run(t.Context(), flaky); out != Success || err != nil || n != 3 {
		t.Errorf("got %s %v after %d", out, err, n)
	}
	n = -10
	if out, _, err := Run(t.Context(), flaky); out != Unknown || !errors.Is(err, errCut) || n != -7 {
		t.Errorf("got %s %v, n %d", out, err, n)
	}
}

func FuzzHTTPRequest(f *testing.F) {
	f.Add("http", "10.0.0.1", "/healthz?x=1", "Host", "a.b")
	f.Add("HTTPS", "::1", "%zz\x00", "Accept", "")
	f.Add("", "", "//evil/..", "\n", "\r\n")
	f.Fuzz(func(t *testing.T, scheme, host, path, name, value string) {
		req, err := HTTP{Scheme: scheme, Host: host, Port: 80, Path: path, Header: http.Header{name: {value}}}.request(t.Context())
		if err != nil {
			return
		}
		if req.Method != http.MethodGet || !strings.HasSuffix(req.URL.Host, ":80") {
			t.Errorf("%s %s", req.Method, req.URL)
		}
	})
}

package remote_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/remote"
)

// zipped are many zeros in few bytes.
func zipped(n int64) io.Reader {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.Copy(w, io.LimitReader(zeros{}, n))
	_ = w.Close()
	return &b
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// counted counts what was read.
type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// Whatever a token server answers ends in a token or in an error, after at most
// 1 MiB and a little, and neither shows what it said nor becomes a header of its
// making.
func TestTokenAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		body io.Reader
		want string // in the error; empty means a token
	}{
		"a token":               {strings.NewReader(`{"token":"canary"}`), ""},
		"of OAuth2":             {strings.NewReader(`{"access_token":"canary"}`), ""},
		"for ever":              {strings.NewReader(`{"token":"canary","expires_in":9223372036854775807}`), ""},
		"for less than no time": {strings.NewReader(`{"token":"canary","expires_in":-9223372036854775808}`), ""},
		"endless":               {io.MultiReader(strings.NewReader(`{"token":"canary","x":"`), zeros{}), "more than 1048576 bytes"},
		"zipped zeros":          {zipped(64 << 20), "not the JSON of a token"},
		"a header of its own":   {strings.NewReader(`{"token":"canary\r\nX-Evil: 1"}`), "a token that cannot be sent"},
		"a null":                {strings.NewReader(`{"token":"canary\u0000"}`), "a token that cannot be sent"},
		"a number":              {strings.NewReader(`{"token":7,"x":"canary"}`), "not the JSON of a token"},
		"time is no number":     {strings.NewReader(`{"token":"canary","expires_in":"canary"}`), "not the JSON of a token"},
		"nothing":               {strings.NewReader(""), "not the JSON of a token"},
		"no token":              {strings.NewReader(`{"error":"canary"}`), "no token in the answer"},
		"deep":                  {strings.NewReader(strings.Repeat("[", 1<<19)), "not the JSON of a token"},
		"broken":                {io.MultiReader(strings.NewReader(`{"token":"can`), iotest.ErrReader(errors.New("broken"))), "broken"},
	} {
		t.Run(name, func(t *testing.T) {
			body := &counted{Reader: c.body}
			n := &network{answer: func(req *http.Request) *http.Response {
				switch {
				case req.URL.Host == "auth.example":
					return &http.Response{StatusCode: 200, Body: io.NopCloser(body)}
				case req.Header.Get("Authorization") == "":
					return reply(401, "WWW-Authenticate", `Bearer realm="https://auth.example/"`, "")
				}
				return reply(200, "", "", "hello")
			}}
			err := over(n, "registry.example", canary, false, remote.Options{})
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || holds(err.Error(), canaryForms)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if body.n > 1<<20+64<<10 {
				t.Errorf("%d bytes were read", body.n)
			}
			if s := strings.Join(n.sent, "\n"); strings.Contains(s, "X-Evil") {
				t.Errorf("sent %s", s)
			}
		})
	}
}

// gzip is undone by the transport: what it becomes is bounded, too.
func TestTokenBomb(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/token" {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token"`, r.Host))
			imagetest.Deny(w, 401, "", "")
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.Copy(w, zipped(64<<20))
	}))
	defer srv.Close()
	err := repository(t, srv.Listener.Addr().String(), remote.Auth{}).Blob(t.Context(), hello, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "more than 1048576 bytes") {
		t.Errorf("error %v", err)
	}
}

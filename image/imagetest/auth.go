package imagetest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Basic asks for a user and a password.
func Basic(user, password string) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if u, p, ok := req.BasicAuth(); !ok || u != user || p != password {
				w.Header().Set("WWW-Authenticate", `Basic realm="imagetest"`)
				Deny(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
				return
			}
			next.ServeHTTP(w, req)
		})
	}
}

// Token asks for a bearer token, which the registry itself gives out under
// /token: to user with password, or, with an empty user, to anyone. A token is
// good for the repository that it was asked for.
func Token(user, password string) Fault { return Tokens{User: user, Password: password}.Fault() }

// Tokens are a token server below a registry's own /token, and the registry that
// asks for its tokens. The zero value gives them to anyone.
type Tokens struct {
	// User and Password get a token by GET. An empty User means anyone.
	User, Password string
	// Identity gets a token by a form (OAuth2). With it, GET gets none.
	Identity string
	// Lifetime ends the tokens. Zero means 5 min. The answers always say 5 min, as
	// a server does whose tokens are withdrawn.
	Lifetime time.Duration
	// Header is the challenge, with %s for the realm and %q for the scope. Empty
	// means Bearer with realm, service and scope.
	Header string
}

// Fault makes a registry ask for the tokens.
func (t Tokens) Fault() Fault {
	if t.Lifetime == 0 {
		t.Lifetime = 5 * time.Minute
	}
	if t.Header == "" {
		t.Header = `Bearer realm="%s",service="imagetest",scope=%q`
	}
	given := &tokens{until: map[string]time.Time{}}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/token" {
				t.give(w, req, given)
				return
			}
			scope := scopeOf(req.URL.Path)
			if !given.good(strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "), scope) {
				scheme := "http"
				if req.TLS != nil {
					scheme = "https"
				}
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(t.Header, scheme+"://"+req.Host+"/token", scope))
				Deny(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
				return
			}
			next.ServeHTTP(w, req)
		})
	}
}

// give answers a request for a token.
func (t Tokens) give(w http.ResponseWriter, req *http.Request, given *tokens) {
	scope := strings.Join(req.URL.Query()["scope"], " ")
	u, p, _ := req.BasicAuth()
	ok := t.User == "" || u == t.User && p == t.Password
	if t.Identity != "" {
		ok = req.Method == http.MethodPost && req.FormValue("grant_type") == "refresh_token" && req.FormValue("refresh_token") == t.Identity
		scope = req.FormValue("scope")
	}
	if !ok {
		Deny(w, http.StatusUnauthorized, "UNAUTHORIZED", "wrong user or password")
		return
	}
	token := given.add(scope, t.Lifetime)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 300})
}

// scopeOf is what a request needs, "" for /v2/ itself.
func scopeOf(path string) string {
	repo := strings.TrimPrefix(path, "/v2/")
	for _, kind := range []string{"/manifests/", "/blobs/"} {
		if r, _, ok := strings.Cut(repo, kind); ok {
			return "repository:" + r + ":pull"
		}
	}
	return ""
}

// tokens are those that were given out.
type tokens struct {
	mu    sync.Mutex
	until map[string]time.Time // by scopes and token, as in "SCOPES TOKEN"
}

func (g *tokens) add(scopes string, life time.Duration) string {
	token := rand.Text()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until[scopes+" "+token] = time.Now().Add(life)
	return token
}

// good says whether a token lives and covers a scope.
func (g *tokens) good(token, scope string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, until := range g.until {
		fields := strings.Fields(key)
		if fields[len(fields)-1] == token && time.Now().Before(until) && (scope == "" || slices.Contains(fields, scope)) {
			return true
		}
	}
	return false
}

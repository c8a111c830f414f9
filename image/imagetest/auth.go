package imagetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
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
func Token(user, password string) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/token" {
				giveToken(w, req, user, password)
				return
			}
			scope := ""
			repo := strings.TrimPrefix(req.URL.Path, "/v2/")
			for _, kind := range []string{"/manifests/", "/blobs/"} {
				if r, _, ok := strings.Cut(repo, kind); ok {
					scope = "repository:" + r + ":pull"
				}
			}
			got := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
			if got != "token for "+scope && (scope != "" || !strings.HasPrefix(got, "token for ")) {
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="imagetest",scope=%q`, req.Host, scope))
				Deny(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
				return
			}
			next.ServeHTTP(w, req)
		})
	}
}

func giveToken(w http.ResponseWriter, req *http.Request, user, password string) {
	if u, p, _ := req.BasicAuth(); user != "" && (u != user || p != password) {
		Deny(w, http.StatusUnauthorized, "UNAUTHORIZED", "wrong user or password")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"token": "token for " + req.URL.Query().Get("scope"), "expires_in": 300})
}

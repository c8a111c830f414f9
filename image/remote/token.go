package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// maxToken bounds the answer of a token server, in bytes.
const maxToken = 1 << 20

// Bounds on how long a token is used, whatever its server says.
const (
	minTokenAge = time.Minute // the specification's default, and its least
	maxTokenAge = 24 * time.Hour
)

// fetchToken gets a token to pull from the repository, and for the other scopes
// that the registry asked for, and returns the header. The caller holds the lock.
func (p *place) fetchToken(ctx context.Context, asked []string) (string, error) {
	a := p.authz
	delete(a.grants, p.path)
	scopes := append([]string{"repository:" + p.path + ":pull"}, asked...)
	slices.Sort(scopes)
	req, err := a.tokenRequest(ctx, slices.Compact(scopes))
	if err != nil {
		return "", err
	}
	what := "get a token from " + req.URL.Host
	own := sameOrigin(p.endpoint.root(), req.URL)
	for name, values := range p.endpoint.host.Header {
		if req.Header.Get(name) == "" && (own || name == "User-Agent") {
			req.Header[name] = values
		}
	}
	resp, err := p.endpoint.client.Do(req)
	if err != nil {
		return "", p.wrap(what, err)
	}
	defer drain(resp)
	if resp.StatusCode != http.StatusOK {
		return "", p.refused(what, resp)
	}
	t, err := readToken(resp.Body)
	if err != nil {
		return "", p.wrap(what, err)
	}
	if t.Refresh != "" && a.auth.IdentityToken != "" {
		a.identity = t.Refresh
	}
	a.remember(t.Token, t.Access, t.Refresh)
	if len(a.grants) >= maxEndpoints {
		clear(a.grants)
	}
	age := min(max(time.Duration(t.ExpiresIn)*time.Second, minTokenAge), maxTokenAge)
	a.grants[p.path] = grant{t.Token, time.Now().Add(age * 9 / 10), asked}
	return "Bearer " + t.Token, nil
}

// tokenRequest asks as Docker does: with an identity token by a form (OAuth2),
// else by a GET with user and password, or without.
func (a *authorizer) tokenRequest(ctx context.Context, scopes []string) (*http.Request, error) {
	if a.auth.IdentityToken == "" {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.realm, nil)
		if err != nil {
			return nil, err
		}
		q := req.URL.Query()
		if a.service != "" {
			q.Set("service", a.service)
		}
		q["scope"] = scopes
		req.URL.RawQuery = q.Encode()
		if a.auth.Username != "" {
			req.Header.Set("Authorization", basic(a.auth))
		}
		return req, nil
	}
	form := url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {a.refresh()}, "client_id": {"lifepod"},
		"service": {a.service}, "scope": {strings.Join(scopes, " ")},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.realm, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req, nil
}

func (a *authorizer) refresh() string {
	if a.identity != "" {
		return a.identity
	}
	return a.auth.IdentityToken
}

// tokenAnswer is what a token server gives.
type tokenAnswer struct {
	Token     string `json:"token"`
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	ExpiresIn int64  `json:"expires_in"`
}

// readToken decodes an answer. Its errors hold nothing of it.
func readToken(r io.Reader) (tokenAnswer, error) {
	var t tokenAnswer
	b, err := io.ReadAll(io.LimitReader(r, maxToken+1))
	if err != nil {
		return t, err
	}
	if len(b) > maxToken {
		return t, fmt.Errorf("more than %d bytes: %w", maxToken, ErrInvalid)
	}
	if json.Unmarshal(b, &t) != nil {
		return t, fmt.Errorf("not the JSON of a token: %w", ErrInvalid)
	}
	if t.Access != "" {
		t.Token = t.Access
	}
	switch {
	case t.Token == "":
		return t, fmt.Errorf("no token in the answer: %w", ErrInvalid)
	case !httpguts.ValidHeaderFieldValue(t.Token):
		return t, fmt.Errorf("a token that cannot be sent: %w", ErrInvalid)
	}
	t.ExpiresIn = min(max(t.ExpiresIn, 0), int64(maxTokenAge/time.Second))
	return t, nil
}

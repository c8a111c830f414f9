package remote

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// authorizer answers the challenges of one endpoint with one Auth. sem, of one
// place, guards it: whoever waits for another's token can give up.
type authorizer struct {
	endpoint *endpoint
	auth     Auth

	sem chan struct{}
	// basic: the host wants user and password; else, if realm is set, tokens
	// from there.
	basic          bool
	realm, service string
	grants         map[string]grant // by path of the repository
	// identity is the newest token to get others with.
	identity string

	mu    sync.Mutex
	given []string
}

// grant is a token with what it is good for.
type grant struct {
	token string
	until time.Time
	// scopes are those that the registry asked for, beside pull.
	scopes []string
}

func (a *authorizer) lock(ctx context.Context) error {
	select {
	case a.sem <- struct{}{}:
		return nil
	default:
	}
	select {
	case a.sem <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (a *authorizer) unlock() { <-a.sem }

// header is the Authorization for a repository, "" as long as the host did not
// ask for one.
func (p *place) header(ctx context.Context) (string, error) {
	a := p.authz
	if err := a.lock(ctx); err != nil {
		return "", err
	}
	defer a.unlock()
	switch {
	case a.basic:
		return basic(a.auth), nil
	case a.realm == "":
		return "", nil
	}
	g := a.grants[p.path]
	if g.token == "" || time.Now().After(g.until) {
		return p.fetchToken(ctx, g.scopes)
	}
	return "Bearer " + g.token, nil
}

// answer takes up the challenges of a 401 that followed a request with the
// header sent, and returns the header to try instead, "" if there is none.
func (p *place) answer(ctx context.Context, resp *http.Response, sent string) (string, error) {
	all := challenges(resp.Header.Values("WWW-Authenticate"))
	if i := find(all, "bearer"); i >= 0 {
		return p.answerBearer(ctx, all[i], sent)
	}
	if find(all, "basic") < 0 || p.authz.auth.Username == "" || sent == basic(p.authz.auth) {
		return "", nil
	}
	if err := p.authz.lock(ctx); err != nil {
		return "", err
	}
	defer p.authz.unlock()
	p.authz.basic = true
	return basic(p.authz.auth), nil
}

func find(all []challenge, scheme string) int {
	return slices.IndexFunc(all, func(c challenge) bool { return c.scheme == scheme })
}

func (p *place) answerBearer(ctx context.Context, c challenge, sent string) (string, error) {
	a := p.authz
	if t := a.auth.RegistryToken; t != "" {
		if sent == "Bearer "+t {
			return "", nil
		}
		return "Bearer " + t, nil
	}
	realm, err := p.realm(c.params["realm"])
	if err != nil {
		return "", err
	}
	if err := a.lock(ctx); err != nil {
		return "", err
	}
	defer a.unlock()
	if a.realm != realm || a.service != c.params["service"] {
		a.basic, a.realm, a.service = false, realm, c.params["service"]
		clear(a.grants)
	}
	if g := a.grants[p.path]; g.token != "" && sent != "Bearer "+g.token { // another got one meanwhile
		return "Bearer " + g.token, nil
	}
	return p.fetchToken(ctx, strings.Fields(c.params["scope"]))
}

// realm checks the address of a token server: credentials go there.
func (p *place) realm(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return "", fmt.Errorf("the challenge names no token server (realm): %w", ErrInvalid)
	}
	if near(u.Host) && !near(p.endpoint.host.Host) {
		return "", fmt.Errorf("the challenge names the token server %s, %w", u.Host, errNear)
	}
	if u.Scheme == "http" && !p.endpoint.mayPlain(u.Host) {
		return "", fmt.Errorf("token server %s: %w", u.Host, errPlain)
	}
	return u.String(), nil
}

// basic is the header of user and password.
func basic(a Auth) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(a.Username+":"+a.Password))
}

// maxGiven bounds the tokens that are remembered, to be kept out of texts.
const maxGiven = 32

func (a *authorizer) remember(tokens ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.given = append(a.given, tokens...)
	a.given = a.given[max(len(a.given)-maxGiven, 0):]
}

// tokens lists what was given out for this Auth.
func (a *authorizer) tokens() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.given)
}

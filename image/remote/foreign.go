package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/lifepod/lifepod/image/remote/hosts"
)

// foreign fetches a blob from the URLs of its descriptor, without credentials.
func (r *Repository) foreign(ctx context.Context, f *fetch) error {
	var last error
	for _, s := range f.d.URLs {
		u, err := r.foreignURL(s)
		if err != nil {
			last = fmt.Errorf("blob %s: %w", f.d.Digest, err)
			continue
		}
		e, err := r.client.endpoint(hosts.Host{Scheme: u.Scheme, Host: u.Host, Can: hosts.Pull}, false, !near(r.domain))
		if err != nil {
			return err
		}
		p := &place{Repository: &Repository{client: r.client, domain: u.Host}, endpoint: e, authz: e.authorizer(Auth{})}
		p.places = func() ([]*place, error) { return []*place{p}, nil }
		last = p.retry(ctx, hosts.Pull, func(ctx context.Context, p *place, dog *watchdog) (bool, error) {
			return f.visitURL(ctx, p, u, dog)
		})
		var out *outputError
		if last == nil || ctx.Err() != nil || errors.As(last, &out) {
			return last
		}
	}
	return last
}

// foreignURL checks an address that a manifest names, which anybody may have
// written: only an image from this machine may lead to it.
func (r *Repository) foreignURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("a URL of the manifest is none to fetch from: %w", ErrInvalid)
	case near(u.Host) && !near(r.domain):
		return nil, fmt.Errorf("a URL of the manifest leads to %s, %w", u.Host, errNear)
	case u.Scheme == "http" && !hosts.Loopback(u.Host) && !r.plain:
		return nil, fmt.Errorf("%s: %w", u.Host, errPlain)
	}
	return u, nil
}

func (f *fetch) visitURL(ctx context.Context, p *place, u *url.URL, dog *watchdog) (further bool, err error) {
	before := f.off
	what := "GET " + u.Host + u.Path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return false, p.wrap(what, err)
	}
	from := f.begin()
	request{from: from}.headers(req.Header)
	resp, err := p.endpoint.client.Do(req)
	if err != nil {
		return false, p.wrap(what, dog.cause(err))
	}
	defer drain(resp)
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		f.whole = f.whole || resp.StatusCode == http.StatusRequestedRangeNotSatisfiable
		return false, p.refused(what, resp)
	}
	err = f.take(resp, from, dog)
	var out *outputError
	if err != nil && !errors.As(err, &out) {
		err = p.wrap(what, err)
	}
	return f.off > before, err
}

package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lifepod/lifepod/image/remote/hosts"
)

// place is a repository at one of its registry's hosts.
type place struct {
	*Repository
	endpoint *endpoint
	authz    *authorizer
}

// request is one GET or HEAD below the repository.
type request struct {
	method, path string
	accept       string
	// from is the byte to begin with.
	from int64
}

// send makes one attempt, or two where the host wants to know who asks; where a
// redirect led, nobody may ask. Its answer has one of the wanted statuses.
func (p *place) send(ctx context.Context, q request) (*http.Response, error) {
	what := p.what(q)
	header, err := p.header(ctx)
	if err != nil {
		return nil, p.wrap(what, err)
	}
	resp, err := p.do(ctx, q, header)
	if err != nil {
		return nil, p.wrap(what, err)
	}
	if _, left := origin(resp.Request); resp.StatusCode == http.StatusUnauthorized && !left {
		refused := p.refused(what, resp)
		drain(resp) // the token may come over the same connection
		next, err := p.answer(ctx, resp, header)
		if err != nil {
			return nil, p.wrap(what, err)
		}
		if next == "" {
			return nil, refused
		}
		if resp, err = p.do(ctx, q, next); err != nil {
			return nil, p.wrap(what, err)
		}
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		defer drain(resp)
		return nil, p.refused(what, resp)
	}
	return resp, nil
}

// what names a request in errors.
func (p *place) what(q request) string {
	return fmt.Sprintf("%s %s/%s/%s", q.method, p.endpoint.host.Host, p.path, q.path)
}

func (p *place) do(ctx context.Context, q request, authorization string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, q.method, p.endpoint.url(p.domain, p.path+"/"+q.path), nil)
	if err != nil {
		return nil, err
	}
	for name, values := range p.endpoint.host.Header {
		req.Header[name] = values
	}
	q.headers(req.Header)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return p.endpoint.client.Do(req)
}

func (q request) headers(h http.Header) {
	h.Set("Accept-Encoding", "identity") // blobs are stored as they come
	if q.accept != "" {
		h.Set("Accept", q.accept)
	}
	if q.from > 0 {
		h.Set("Range", fmt.Sprintf("bytes=%d-", q.from))
	}
}

// drain reads the little that an answer may still hold, so that its connection
// can be used again, and closes it.
func drain(resp *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 16<<10))
	_ = resp.Body.Close()
}

// maxRetryAfter bounds the wait that a registry may ask for.
const maxRetryAfter = time.Minute

// after is how long a registry asks to wait, by a number of seconds or a date.
func after(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if s, err := strconv.ParseUint(header, 10, 31); err == nil {
		return min(time.Duration(s)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// pause waits before attempt n (from 1); its error is the context's.
func (r *Repository) pause(ctx context.Context, n int, err error) error {
	d := min(r.client.opts.Backoff<<min(n-1, 16), 30*time.Second)
	d = d/2 + rand.N(d/2+1)
	var re *Error
	if errors.As(err, &re) {
		d = max(d, re.after)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// visit is what an attempt does at one place. It says whether it got further
// than the attempt before, which starts the count anew.
type visit func(ctx context.Context, p *place, dog *watchdog) (further bool, err error)

// retry visits the places that can do what is needed, again and again, until a
// visit succeeds or all fail for good.
func (r *Repository) retry(ctx context.Context, need hosts.Capabilities, v visit) error {
	for n := 1; ; n++ {
		further, err := r.round(ctx, need, v)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if further {
			n = 1
		}
		if n > r.client.opts.Retries || !temporary(err) {
			return err
		}
		if perr := r.pause(ctx, n, err); perr != nil {
			return perr
		}
	}
}

// round visits each place once, until one does it. The error is that of the
// last, which is the registry itself as a rule, and mentions the others'.
func (r *Repository) round(ctx context.Context, need hosts.Capabilities, v visit) (further bool, err error) {
	all, err := r.places()
	if err != nil {
		return false, err
	}
	var able []*place
	for _, p := range all {
		if p.endpoint.host.Can.Has(need) {
			able = append(able, p)
		}
	}
	if len(able) == 0 {
		return false, fmt.Errorf("registry %s: none of its %d hosts may be asked for this: give one the capabilities that it needs", r.domain, len(all))
	}
	var mirrors []error
	for i, p := range able {
		last := i == len(able)-1
		if !last && p.endpoint.resting() {
			continue
		}
		var more bool
		more, err = p.visit(ctx, v)
		further = further || more
		var out *outputError
		if err == nil || ctx.Err() != nil || errors.As(err, &out) {
			return further, err
		}
		if !last {
			p.endpoint.failed(err)
			mirrors = append(mirrors, err)
		}
	}
	return further, mention(err, mirrors)
}

// visit calls v, which the watchdog ends when nothing happens.
func (p *place) visit(ctx context.Context, v visit) (bool, error) {
	ctx, dog := newWatchdog(ctx, p.client.opts.Stall)
	defer dog.stop()
	further, err := v(ctx, p, dog)
	return further, err
}

// read reads a whole answer of at most limit bytes.
func read(resp *http.Response, limit int64, dog *watchdog) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(&watched{resp.Body, dog}, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("more than %d bytes, see Options.ManifestLimit: %w", limit, ErrInvalid)
	}
	return b, nil
}

// watched tells the watchdog of every byte.
type watched struct {
	r   io.Reader
	dog *watchdog
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if n > 0 {
		w.dog.progress()
	}
	return n, w.dog.cause(err)
}

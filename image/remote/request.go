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

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// request is one GET or HEAD below the repository.
type request struct {
	method, path string
	accept       string
	// from is the byte to begin with.
	from int64
}

// send makes one attempt. Its answer has one of the wanted statuses.
func (r *Repository) send(ctx context.Context, q request) (*http.Response, error) {
	what := fmt.Sprintf("%s %s/%s/%s", q.method, r.domain, r.path, q.path)
	rt, base, err := r.transport(ctx)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, q.method, base+q.path, nil)
	if err != nil {
		return nil, r.wrap(what, err)
	}
	if q.accept != "" {
		req.Header.Set("Accept", q.accept)
	}
	if q.from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", q.from))
	}
	resp, err := (&http.Client{Transport: rt}).Do(req)
	if err != nil {
		r.forget(rt)
		return nil, r.wrap(what, err)
	}
	if err := transport.CheckError(resp, http.StatusOK, http.StatusPartialContent); err != nil {
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusUnauthorized {
			r.forget(rt)
		}
		return nil, &retryAfter{r.wrap(what, err), resp.Header.Get("Retry-After")}
	}
	return resp, nil
}

// retryAfter carries what the registry said about when to come again.
type retryAfter struct {
	error
	after string
}

func (e *retryAfter) Unwrap() error { return e.error }

// maxRetryAfter bounds the wait that a registry may ask for.
const maxRetryAfter = time.Minute

// pause waits before attempt n (from 1); its error is the context's.
func (r *Repository) pause(ctx context.Context, n int, err error) error {
	d := min(r.client.opts.Backoff<<min(n-1, 16), 30*time.Second)
	d = d/2 + rand.N(d/2+1)
	var ra *retryAfter
	if errors.As(err, &ra) {
		if s, err := strconv.Atoi(strings.TrimSpace(ra.after)); err == nil && s >= 0 {
			d = min(max(d, time.Duration(s)*time.Second), maxRetryAfter)
		}
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

// retry runs f until it succeeds or fails for good. f says whether it got
// further than the attempt before, which starts the count anew.
func (r *Repository) retry(ctx context.Context, f func() (further bool, err error)) error {
	for n := 1; ; n++ {
		further, err := f()
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
			var ra *retryAfter
			if errors.As(err, &ra) {
				return ra.error
			}
			return err
		}
		if perr := r.pause(ctx, n, err); perr != nil {
			return perr
		}
	}
}

// read reads a whole answer of at most limit bytes.
func read(resp *http.Response, limit int64, dog *watchdog) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(&watched{resp.Body, dog}, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("more than %d bytes: %w", limit, ErrInvalid)
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

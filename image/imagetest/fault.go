package imagetest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Fault stands between a registry and its client. Any middleware is one.
type Fault func(next http.Handler) http.Handler

type fault struct {
	path string
	do   Fault
}

// On adds a fault to the requests whose path contains path; "" means all. The
// first that was added sees a request first.
func (r *Registry) On(path string, f Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, fault{path, f})
}

// Heal takes all faults away.
func (r *Registry) Heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = nil
}

// Times applies f to the first n requests only.
func Times(n int64, f Fault) Fault {
	var seen atomic.Int64
	return func(next http.Handler) http.Handler {
		if seen.Add(1) > n {
			return next
		}
		return f(next)
	}
}

// Status answers every request with an error.
func Status(code int) Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			name := map[int]string{401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 429: "TOOMANYREQUESTS"}[code]
			if name == "" {
				name = "UNKNOWN"
			}
			if code == http.StatusTooManyRequests {
				w.Header().Set("Retry-After", "0")
			}
			Deny(w, code, name, strings.ToLower(http.StatusText(code)))
		})
	}
}

// Later answers every request with an error that says when to come again: a
// number of seconds, or a date.
func Later(code int, retryAfter string) Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", retryAfter)
			Deny(w, code, "TOOMANYREQUESTS", "come again later")
		})
	}
}

// Drop breaks the connection without an answer.
func Drop() Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	}
}

// Corrupt changes one byte in the middle of the content, and not its length.
func Corrupt() Fault {
	return body(func(b []byte) []byte {
		if len(b) > 0 {
			b[len(b)/2] ^= 1
		}
		return b
	})
}

// Replace answers with other content.
func Replace(data []byte) Fault { return body(func([]byte) []byte { return data }) }

// body rewrites the answer as a whole.
func body(edit func([]byte) []byte) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			rec := &recorder{header: http.Header{}, status: http.StatusOK}
			next.ServeHTTP(rec, req)
			data := edit(rec.data)
			for k, v := range rec.header {
				w.Header()[k] = v
			}
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			w.WriteHeader(rec.status)
			_, _ = w.Write(data)
		})
	}
}

type recorder struct {
	header http.Header
	status int
	data   []byte
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(code int)        { r.status = code }
func (r *recorder) Write(b []byte) (int, error) { r.data = append(r.data, b...); return len(b), nil }

// Truncate breaks the connection after n bytes of content.
func Truncate(n int) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			next.ServeHTTP(&limited{ResponseWriter: w, left: n}, req)
		})
	}
}

type limited struct {
	http.ResponseWriter
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	if len(b) < l.left {
		l.left -= len(b)
		return l.ResponseWriter.Write(b)
	}
	_, _ = l.ResponseWriter.Write(b[:l.left])
	if f, ok := l.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
	panic(http.ErrAbortHandler)
}

// Stall sends n bytes of content and then nothing, until the client gives up.
func Stall(n int) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			defer func() {
				if v := recover(); v != nil {
					<-req.Context().Done()
				}
			}()
			next.ServeHTTP(&limited{ResponseWriter: w, left: n}, req)
		})
	}
}

// Slow sends at most n bytes at a time with a pause between them.
func Slow(n int, pause time.Duration) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			next.ServeHTTP(&slow{w, req, n, pause}, req)
		})
	}
}

type slow struct {
	http.ResponseWriter
	req   *http.Request
	n     int
	pause time.Duration
}

func (s *slow) Write(b []byte) (int, error) {
	total := 0
	for len(b) > 0 {
		n, err := s.ResponseWriter.Write(b[:min(s.n, len(b))])
		total += n
		b = b[n:]
		if err != nil {
			return total, err
		}
		if f, ok := s.ResponseWriter.(http.Flusher); ok {
			f.Flush()
		}
		select {
		case <-time.After(s.pause):
		case <-s.req.Context().Done():
			return total, s.req.Context().Err()
		}
	}
	return total, nil
}

// NoRange answers as a registry that knows no Range.
func NoRange() Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			req.Header.Del("Range")
			next.ServeHTTP(w, req)
		})
	}
}

// Redirect sends the client to another host, with the same path and a signature
// in the query.
func Redirect(host string) Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, fmt.Sprintf("http://%s%s?signature=secret", host, req.URL.Path), http.StatusTemporaryRedirect)
		})
	}
}

// ChangingTag answers requests for manifests with other ones in turn, tags or
// digests of the same repository; the last stays.
func ChangingTag(to ...string) Fault {
	var seen atomic.Int64
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if i := strings.Index(req.URL.Path, "/manifests/"); i >= 0 && len(to) > 0 {
				n := min(int(seen.Add(1)), len(to)) - 1
				req.URL.Path = req.URL.Path[:i] + "/manifests/" + to[n]
			}
			next.ServeHTTP(w, req)
		})
	}
}

// NoLength answers without saying how long the content is.
func NoLength() Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			next.ServeHTTP(&endless{ResponseWriter: w}, req)
		})
	}
}

type endless struct{ http.ResponseWriter }

func (e *endless) WriteHeader(code int) {
	e.Header().Del("Content-Length")
	e.ResponseWriter.WriteHeader(code)
	if f, ok := e.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

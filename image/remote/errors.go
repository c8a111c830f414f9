package remote

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Errors found with errors.Is.
var (
	ErrNotFound     = errors.New("not found")
	ErrUnauthorized = errors.New("access denied")
	// ErrStalled ends a request that got no byte for Options.Stall.
	ErrStalled = errors.New("no progress")
	// ErrInvalid is for an answer that contradicts itself or what was asked for.
	ErrInvalid = errors.New("invalid answer of the registry")
	errPlain   = errors.New("plain http is allowed to loopback addresses only, unless the pull asks for it (PlainHTTP)")
)

// Error is a request that failed. Its text names what was asked for, without
// the query, and holds no secret.
type Error struct {
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	text   string
	err    error
	// after is how long the registry asks to wait.
	after time.Duration
}

func (e *Error) Error() string { return e.text }

// Unwrap returns what errors.Is may look for, not what was said.
func (e *Error) Unwrap() error { return e.err }

// Is matches ErrNotFound and ErrUnauthorized by status.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrUnauthorized:
		return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
	}
	return false
}

// Reason is RegistryUnavailable for a registry that cannot be reached, does not
// answer or answers 5xx, and "" for all else.
func (e *Error) Reason() string {
	if e.Status >= 500 || e.Status == 0 && !errors.Is(e.err, ErrInvalid) && !errors.Is(e.err, errPlain) &&
		!errors.Is(e.err, context.Canceled) {
		return "RegistryUnavailable"
	}
	return ""
}

// temporary says whether another attempt may end better.
func temporary(err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.err != nil && !network(e.err) {
		return false
	}
	switch e.Status {
	case 0, http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// network says whether err came from a connection, and may go away by itself.
func network(err error) bool {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var host x509.HostnameError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrStalled),
		errors.Is(err, ErrInvalid), errors.Is(err, errPlain), errors.As(err, &cert), errors.As(err, &host):
		return false
	case errors.As(err, &dns):
		return !dns.IsNotFound
	}
	return true
}

// wrap makes an *Error of whatever went wrong on the way.
func (p *place) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	var done *Error
	if errors.As(err, &done) {
		return err
	}
	var uerr *url.Error
	for errors.As(err, &uerr) { // its URL may be signed
		err = uerr.Err
		uerr = nil
	}
	e := &Error{err: err}
	e.text = fmt.Sprintf("%s: %s", what, p.redact(err.Error()))
	return e
}

// refused makes an *Error of an answer that is none of those wanted.
func (p *place) refused(what string, resp *http.Response) error {
	e := &Error{Status: resp.StatusCode, after: after(resp.Header.Get("Retry-After"), time.Now())}
	e.text = fmt.Sprintf("%s: %d %s", what, e.Status, http.StatusText(e.Status))
	if _, left := origin(resp.Request); left {
		e.text += " of " + p.redact(resp.Request.URL.Host) + ", where it redirects to"
	}
	if s := said(resp); s != "" {
		e.text += ": " + p.redact(s)
	}
	return e
}

// said is the explanation in an answer: the errors that registries write, those
// of token servers, or a line of text.
func said(resp *http.Response) string {
	b, err := io.ReadAll(io.LimitReader(resp.Body, 8<<10))
	if err != nil {
		return ""
	}
	var doc struct {
		Errors []struct{ Code, Message string }
		// of a token server
		Details string
		Error   string `json:"error_description"`
	}
	if json.Unmarshal(b, &doc) != nil {
		if len(b) > 256 || bytes.ContainsRune(b, '<') {
			return ""
		}
		return strings.TrimSpace(string(b))
	}
	all := []string{}
	for _, e := range doc.Errors[:min(len(doc.Errors), 4)] {
		all = append(all, strings.Trim(e.Code+": "+e.Message, ": "))
	}
	for _, s := range []string{doc.Details, doc.Error} {
		if s != "" {
			all = append(all, s)
		}
	}
	return strings.Join(all, "; ")
}

// mention adds what went wrong at the mirrors to the registry's own error.
func mention(err error, mirrors []error) error {
	var e *Error
	if len(mirrors) == 0 || !errors.As(err, &e) {
		return err
	}
	all := *e
	for _, m := range mirrors {
		all.text += "; before, at a mirror: " + m.Error()
	}
	return &all
}

const maxText = 1 << 10

// redact takes the secrets out of a text that a registry may have written, and
// whatever could disturb a terminal.
func (p *place) redact(s string) string {
	for _, secret := range p.secrets() {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			if form != "" {
				s = strings.ReplaceAll(s, form, "REDACTED")
			}
		}
	}
	s = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, s)
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}

// secrets lists what the host was told, or may have been.
func (p *place) secrets() []string {
	all := secrets(p.auth)
	if p.auth.Username != "" {
		all = append(all, strings.TrimPrefix(basic(p.auth), "Basic "))
	}
	for name, values := range p.endpoint.host.Header {
		if name != "User-Agent" {
			all = append(all, values...)
		}
	}
	return append(all, p.authz.tokens()...)
}

// outputError is one of the writer that a blob goes to.
type outputError struct{ error }

package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
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

// wrap makes an *Error of whatever the transport returned.
func (r *Repository) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	var done *Error
	if errors.As(err, &done) {
		return err
	}
	e := &Error{err: err}
	var terr *transport.Error
	if errors.As(err, &terr) {
		e.Status, e.err = terr.StatusCode, nil
		terr.Request = nil // its URL may be signed
	}
	var uerr *url.Error
	for errors.As(err, &uerr) { // its URL may be signed, too
		err = uerr.Err
		uerr = nil
	}
	e.text = fmt.Sprintf("%s: %s", what, r.redact(err.Error()))
	if e.Status != 0 {
		e.text = fmt.Sprintf("%s: %d %s: %s", what, e.Status, http.StatusText(e.Status), r.redact(terr.Error()))
	}
	return e
}

const maxText = 1 << 10

// redact takes the secrets out of a text that a registry may have written, and
// whatever could disturb a terminal.
func (r *Repository) redact(s string) string {
	for _, secret := range r.auth.secrets() {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "REDACTED")
			s = strings.ReplaceAll(s, url.QueryEscape(secret), "REDACTED")
		}
	}
	if r.auth.Username != "" {
		basic := base64.StdEncoding.EncodeToString([]byte(r.auth.Username + ":" + r.auth.Password))
		s = strings.ReplaceAll(s, basic, "REDACTED")
	}
	s = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, s)
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return s
}

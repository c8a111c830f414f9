// Command certsd says what containerd makes of directories of registries' hosts.
// Each line on stdin is a JSON object {"root": DIR, "domain": REGISTRY}; the line
// on stdout that answers it is an [Answer].
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/log"
	"github.com/sirupsen/logrus"
)

// Answer is what containerd would do.
type Answer struct {
	// Error is what it fails with; Logged what it only writes to its log.
	Error, Logged string
	Hosts         []Host
}

// Host is one that it would ask, in its order. CAs are the common names of the
// authorities that it trusts beside the system's, Clients those of the
// certificates that it shows.
type Host struct {
	Scheme, Host, Path string
	Fallback           bool
	Can                []string
	CAs, Clients       []string
	SkipVerify         bool
	Header             http.Header
}

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var q struct{ Root, Domain string }
		err := in.Decode(&q)
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = out.Encode(answer(q.Root, q.Domain))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "certsd:", err)
			os.Exit(1)
		}
	}
}

func answer(root, domain string) (a Answer) {
	var logged strings.Builder
	logger := logrus.New()
	logger.SetOutput(&logged)
	logger.SetLevel(logrus.ErrorLevel)
	ctx := log.WithLogger(context.Background(), logrus.NewEntry(logger))
	list, err := config.ConfigureHosts(ctx, config.HostOptions{HostDir: config.HostDirFromRoot(root)})(domain)
	a.Logged = logged.String()
	if err != nil {
		a.Error = err.Error()
		return a
	}
	for _, h := range list {
		a.Hosts = append(a.Hosts, host(h))
	}
	return a
}

func host(r docker.RegistryHost) Host {
	h := Host{Scheme: r.Scheme, Host: r.Host, Path: r.Path, Header: r.Header}
	for _, c := range []struct {
		bit  docker.HostCapabilities
		name string
	}{
		{docker.HostCapabilityPull, "pull"}, {docker.HostCapabilityResolve, "resolve"},
		{docker.HostCapabilityPush, "push"}, {docker.HostCapabilityReferrers, "referrers"},
	} {
		if r.Capabilities.Has(c.bit) {
			h.Can = append(h.Can, c.name)
		}
	}
	t, ok := r.Client.Transport.(*http.Transport)
	if !ok { // the only other one wraps it, and tells nobody
		h.Fallback = true
		t = (*http.Transport)(reflect.ValueOf(r.Client.Transport).Elem().FieldByName("super").Elem().UnsafePointer())
	}
	h.tls(t.TLSClientConfig)
	return h
}

func (h *Host) tls(c *tls.Config) {
	h.SkipVerify = c.InsecureSkipVerify
	if c.RootCAs != nil {
		for _, raw := range c.RootCAs.Subjects() {
			if !system()[string(raw)] {
				h.CAs = append(h.CAs, commonName(raw))
			}
		}
	}
	for _, pair := range c.Certificates {
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			panic(err)
		}
		h.Clients = append(h.Clients, leaf.Subject.CommonName)
	}
}

// system are the subjects of the system's authorities.
var system = sync.OnceValue(func() map[string]bool {
	pool, err := x509.SystemCertPool()
	if err != nil {
		panic(err)
	}
	known := map[string]bool{}
	for _, raw := range pool.Subjects() {
		known[string(raw)] = true
	}
	return known
})

func commonName(raw []byte) string {
	var seq pkix.RDNSequence
	if _, err := asn1.Unmarshal(raw, &seq); err != nil {
		panic(err)
	}
	var name pkix.Name
	name.FillFromRDNSequence(&seq)
	return name.CommonName
}

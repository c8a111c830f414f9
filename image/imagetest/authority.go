package imagetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Authority issues certificates for tests: nobody else trusts it.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes one, good for a day.
func NewAuthority() (*Authority, error) {
	a := &Authority{}
	cert, key, err := a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "imagetest"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	})
	if err != nil {
		return nil, err
	}
	a.key = key
	if a.cert, err = x509.ParseCertificate(cert); err != nil {
		return nil, fmt.Errorf("make an authority: %w", err)
	}
	return a, nil
}

// PEM is the authority's certificate, what a client has to trust.
func (a *Authority) PEM() []byte { return encode("CERTIFICATE", a.cert.Raw) }

// Server issues a certificate for a server's names and addresses.
func (a *Authority) Server(names ...string) (tls.Certificate, error) {
	t := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	cert, key, err := a.issue(t)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{cert}, PrivateKey: key}, nil
}

// Client issues a client's certificate, and its key, in PEM.
func (a *Authority) Client(name string) (cert, key []byte, err error) {
	der, k, err := a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return nil, nil, err
	}
	return encodePair(der, k)
}

// ServerPEM is Server with certificate and key in PEM, for another program.
func (a *Authority) ServerPEM(names ...string) (cert, key []byte, err error) {
	c, err := a.Server(names...)
	if err != nil {
		return nil, nil, err
	}
	return encodePair(c.Certificate[0], c.PrivateKey.(*ecdsa.PrivateKey))
}

func encodePair(cert []byte, k *ecdsa.PrivateKey) (certPEM, keyPEM []byte, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, nil, fmt.Errorf("encode key: %w", err)
	}
	return encode("CERTIFICATE", cert), encode("PRIVATE KEY", der), nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// issue signs t; an authority that is being made signs itself.
func (a *Authority) issue(t *x509.Certificate) (der []byte, key *ecdsa.PrivateKey, err error) {
	key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("issue a certificate: %w", err)
	}
	t.SerialNumber = big.NewInt(time.Now().UnixNano())
	t.NotBefore, t.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = t, key
	}
	if der, err = x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer); err != nil {
		return nil, nil, fmt.Errorf("issue a certificate: %w", err)
	}
	return der, key, nil
}

func (a *Authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

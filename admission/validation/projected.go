package validation

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// projected checks the sources, and that no two write one path.
func (c *podCheck) projected(at *field.Path, v *corev1.Volume) {
	p := v.Projected
	c.mode(at.Child("defaultMode"), p.DefaultMode)
	paths := unique{}
	for i := range p.Sources {
		c.projection(at, at.Child("sources").Index(i), &p.Sources[i], paths)
	}
}

func (c *podCheck) projection(volume, at *field.Path, s *corev1.VolumeProjection, paths unique) {
	// taken reports a path that another source writes; what is the value shown.
	taken := func(p, what string) {
		if paths.again(p) {
			c.invalid(volume, what, "conflicting duplicate paths")
		}
	}
	n := 0
	keys := func(field, name string, items []corev1.KeyToPath) {
		n++
		c.need(at.Child(field, "name"), name)
		c.keysToPaths(at.Child(field, "items"), items)
		for _, k := range items {
			if k.Path != "" {
				taken(k.Path, name)
			}
		}
	}
	if s.Secret != nil {
		keys("secret", s.Secret.Name, s.Secret.Items)
	}
	if s.ConfigMap != nil {
		keys("configMap", s.ConfigMap.Name, s.ConfigMap.Items)
	}
	if s.DownwardAPI != nil {
		n++
		for i := range s.DownwardAPI.Items {
			f := &s.DownwardAPI.Items[i]
			c.downwardFile(at.Child("downwardAPI"), f)
			if f.Path != "" {
				taken(f.Path, f.Path)
			}
		}
	}
	if t := s.ServiceAccountToken; t != nil {
		n++
		c.token(volume, at.Child("serviceAccountToken"), t)
	}
	if b := s.ClusterTrustBundle; b != nil {
		n++
		c.trustBundle(at.Child("clusterTrustBundle"), b)
		taken(b.Path, b.Path)
	}
	if p := s.PodCertificate; p != nil {
		n++
		c.certificate(at.Child("podCertificate"), p, taken)
	}
	if n > 1 {
		c.forbidden(at, "may not specify more than 1 volume type per source")
	}
}

// token checks a service account token; its path's errors are at the volume.
func (c *podCheck) token(volume, at *field.Path, t *corev1.ServiceAccountTokenProjection) {
	seconds := at.Child("expirationSeconds")
	switch e := t.ExpirationSeconds; {
	case e == nil:
		c.required(seconds, "")
	case *e < 600:
		c.invalid(seconds, *e, "may not specify a duration less than 10 minutes")
	case *e > 1<<32:
		c.invalid(seconds, *e, "may not specify a duration larger than 2^32 seconds")
	}
	if c.need(volume.Child("path"), t.Path) {
		c.localPath(volume.Child("path"), t.Path)
	}
}

func (c *podCheck) trustBundle(at *field.Path, b *corev1.ClusterTrustBundleProjection) {
	switch {
	case b.Name != nil && b.SignerName != nil:
		c.invalid(at, b, "only one of name and signerName may be used")
	case b.Name != nil:
		if *b.Name == "" {
			c.required(at.Child("name"), "must be a valid object name")
		}
		name := *b.Name
		if i := strings.LastIndex(name, ":"); i >= 0 { // "signer:name", by a signer
			name = name[i+1:]
		}
		for _, msg := range apivalidation.NameIsDNSSubdomain(name, false) {
			c.invalid(at.Child("name"), *b.Name, "not a valid clustertrustbundlename: "+msg)
		}
		if b.LabelSelector != nil {
			c.invalid(at.Child("labelSelector"), b.LabelSelector, "labelSelector must be unset if name is specified")
		}
	case b.SignerName != nil:
		if *b.SignerName == "" {
			c.required(at.Child("signerName"), "must be a valid signer name")
		}
		c.signerName(at.Child("signerName"), *b.SignerName)
		c.add(metav1validation.ValidateLabelSelector(b.LabelSelector, metav1validation.LabelSelectorValidationOptions{}, at.Child("labelSelector"))...)
	default:
		c.required(at, "either name or signerName must be specified")
	}
	c.need(at.Child("path"), b.Path)
	c.localPath(at.Child("path"), b.Path)
}

var keyTypes = []string{"RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"}

// Limits of a certificate's life, in seconds: for Kubernetes' own signers, and
// for others.
const (
	minCertificateLife    = 3600
	maxCertificateLife    = 91 * 24 * 3600
	maxKubernetesCertLife = 24 * 3600
)

func (c *podCheck) certificate(at *field.Path, p *corev1.PodCertificateProjection, taken func(path, what string)) {
	c.signerName(at.Child("signerName"), p.SignerName)
	for key := range p.UserAnnotations {
		c.add(validation.IsDomainPrefixedKey(at.Child("userAnnotations"), strings.ToLower(key))...)
	}
	if apivalidation.ValidateAnnotationsSize(p.UserAnnotations) != nil {
		c.add(field.TooLong(at.Child("userAnnotations"), "", apivalidation.TotalAnnotationSizeLimitB))
	}
	oneOf(&c.report, at.Child("keyType"), p.KeyType, keyTypes...)
	if e := p.MaxExpirationSeconds; e != nil {
		longest := int32(maxCertificateLife)
		if domain, _, _ := strings.Cut(p.SignerName, "/"); domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io") {
			longest = maxKubernetesCertLife
		}
		if *e < minCertificateLife {
			c.invalid(at.Child("maxExpirationSeconds"), *e, sprintf("if provided, maxExpirationSeconds must be >= %d", minCertificateLife))
		}
		if *e > longest {
			c.invalid(at.Child("maxExpirationSeconds"), *e, sprintf("if provided, maxExpirationSeconds must be <= %d", longest))
		}
	}
	for _, f := range []struct{ name, path string }{
		{"credentialBundlePath", p.CredentialBundlePath}, {"keyPath", p.KeyPath}, {"certificateChainPath", p.CertificateChainPath},
	} {
		if f.path != "" {
			c.localPath(at.Child(f.name), f.path)
			taken(f.path, f.path)
		}
	}
	if p.CredentialBundlePath == "" && p.KeyPath == "" && p.CertificateChainPath == "" {
		c.required(at, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath")
	}
}

// signerName is "domain/path".
func (c *podCheck) signerName(at *field.Path, name string) {
	if !c.need(at, name) {
		return
	}
	domain, path, ok := strings.Cut(name, "/")
	if !ok || strings.Contains(path, "/") {
		c.invalid(at, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")
		return
	}
	if len(domain) > validation.DNS1123SubdomainMaxLength {
		c.add(field.TooLong(at, "", validation.DNS1123SubdomainMaxLength))
	}
	c.labelsOf(at, domain, validation.IsDNS1123Label)
	if !strings.Contains(domain, ".") {
		c.invalid(at, domain, "should be a domain with at least two segments separated by dots")
	}
	c.labelsOf(at, path, validation.IsDNS1123Subdomain)
	if longest := 2*validation.DNS1123SubdomainMaxLength + validation.DNS1123LabelMaxLength + 2; len(name) > longest {
		c.add(field.TooLong(at, "", longest))
	}
}

// labelsOf reports the first label of a dotted name that is wrong.
func (c *podCheck) labelsOf(at *field.Path, name string, check func(string) []string) {
	labels := strings.Split(name, ".")
	if i := slices.IndexFunc(labels, func(l string) bool { return len(check(l)) > 0 }); i >= 0 {
		for _, msg := range check(labels[i]) {
			c.invalid(at, name, sprintf("validating label %q: %s", labels[i], msg))
		}
	}
}

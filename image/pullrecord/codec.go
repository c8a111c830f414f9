package pullrecord

import (
	"encoding/json"
	"fmt"
	"time"

	kjson "sigs.k8s.io/json"
)

// The kinds, as the kubelet writes them. It reads v1alpha1 too, which has the same
// fields.
const (
	group      = "kubelet.config.k8s.io/"
	apiVersion = group + "v1beta1"
	alpha      = group + "v1alpha1"
	kindIntent = "ImagePullIntent"
	kindPulled = "ImagePulledRecord"
)

// MaxSize bounds a record, in bytes of JSON.
const MaxSize = 8 << 20

type intentFile struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Image      string `json:"image"`
}

type recordFile struct {
	Kind        string                 `json:"kind"`
	APIVersion  string                 `json:"apiVersion"`
	LastUpdated *time.Time             `json:"lastUpdatedTime"`
	ImageRef    string                 `json:"imageRef"`
	Credentials map[string]Credentials `json:"credentialMapping,omitempty"`
}

// EncodeIntent is the JSON of the intent to pull image.
func EncodeIntent(image string) ([]byte, error) {
	return encode(intentFile{kindIntent, apiVersion, image})
}

// DecodeIntent returns the image of an intent. Its error is ErrDamaged.
func DecodeIntent(b []byte) (image string, err error) {
	var f intentFile
	if err := decode(b, &f); err != nil {
		return "", err
	}
	if err := check(f.Kind, kindIntent, f.APIVersion); err != nil {
		return "", err
	}
	if f.Image == "" {
		return "", fmt.Errorf("%w: it names no image", ErrDamaged)
	}
	return f.Image, nil
}

// Encode is the JSON of a record. One that is larger than MaxSize is an error.
func Encode(r Record) ([]byte, error) {
	f := recordFile{Kind: kindPulled, APIVersion: apiVersion, ImageRef: r.ImageRef, Credentials: r.Credentials}
	if !r.LastUpdated.IsZero() {
		t := r.LastUpdated.UTC().Truncate(time.Second)
		f.LastUpdated = &t
	}
	b, err := encode(f)
	if len(b) > MaxSize {
		return nil, fmt.Errorf("record of image %s: %d bytes, at most %d: too many credentials pulled it", r.ImageRef, len(b), MaxSize)
	}
	return b, err
}

// Decode reads a record. Its error is ErrDamaged.
func Decode(b []byte) (Record, error) {
	var f recordFile
	if err := decode(b, &f); err != nil {
		return Record{}, err
	}
	if err := check(f.Kind, kindPulled, f.APIVersion); err != nil {
		return Record{}, err
	}
	r := Record{ImageRef: f.ImageRef, Credentials: f.Credentials}
	if f.LastUpdated != nil {
		r.LastUpdated = f.LastUpdated.UTC()
	}
	switch {
	case r.ImageRef == "":
		return Record{}, fmt.Errorf("%w: it names no image", ErrDamaged)
	case r.LastUpdated.Year() < 0 || r.LastUpdated.Year() > 9999:
		return Record{}, fmt.Errorf("%w: a time that RFC 3339 cannot write", ErrDamaged)
	}
	return r, nil
}

func encode(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return append(b, '\n'), err
}

// decode is strict as the kubelet's: fields that nobody knows, or that come twice,
// are damage. What is said of it holds nothing of the content.
func decode(b []byte, v any) error {
	if len(b) > MaxSize {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrDamaged, len(b), MaxSize)
	}
	strict, err := kjson.UnmarshalStrict(b, v)
	if err != nil {
		return fmt.Errorf("%w: not its JSON", ErrDamaged)
	}
	if len(strict) > 0 {
		return fmt.Errorf("%w: fields that are not known, or twice", ErrDamaged)
	}
	return nil
}

func check(kind, want, version string) error {
	if kind != want || version != apiVersion && version != alpha {
		return fmt.Errorf("%w: %s of %s, not %s of %s", ErrDamaged, quoted(kind), quoted(version), want, apiVersion)
	}
	return nil
}

func quoted(s string) string { return fmt.Sprintf("%.80q", s) }

package pullrecord

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDecodeRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"nothing":           ``,
		"no object":         `[]`,
		"an unknown field":  `{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":null,"imageRef":"r","more":1}`,
		"another case":      `{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":null,"ImageRef":"r"}`,
		"a field twice":     `{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":null,"imageRef":"r","imageRef":"s"}`,
		"another version":   `{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1","lastUpdatedTime":null,"imageRef":"r"}`,
		"another group":     `{"kind":"ImagePulledRecord","apiVersion":"example.com/v1beta1","lastUpdatedTime":null,"imageRef":"r"}`,
		"another kind":      `{"kind":"ImagePullIntent","apiVersion":"kubelet.config.k8s.io/v1beta1","imageRef":"r"}`,
		"no image":          `{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":null,"imageRef":""}`,
		"no time":           `{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":"soon","imageRef":"r"}`,
		"a time before all": `{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":"0000-01-01T00:00:00+01:00","imageRef":"r"}`,
	} {
		if r, err := Decode([]byte(s)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	for name, s := range map[string]string{
		"a record": `{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","image":"x"}`,
		"no image": `{"kind":"ImagePullIntent","apiVersion":"kubelet.config.k8s.io/v1beta1","image":""}`,
		"too long": `{"kind":"ImagePullIntent","apiVersion":"kubelet.config.k8s.io/v1beta1","image":"` + strings.Repeat("x", MaxSize) + `"}`,
	} {
		if image, err := DecodeIntent([]byte(s)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %q, %v", name, image, err)
		}
	}
}

// What kubelets wrote, of both versions.
func TestDecodeTheKubelets(t *testing.T) {
	r, err := Decode([]byte(`{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1alpha1","lastUpdatedTime":"2024-10-21T12:26:40Z","imageRef":"r","credentialMapping":{"a.io/x":{"kubernetesServiceAccounts":[{"uid":"u","namespace":"n","name":"a"}]},"a.io/y":{"nodePodsAccessible":true}}}`))
	want := Record{time.Date(2024, 10, 21, 12, 26, 40, 0, time.UTC), "r", map[string]Credentials{
		"a.io/x": {ServiceAccounts: []ServiceAccount{agent}}, "a.io/y": {Everyone: true},
	}}
	if err != nil || !reflect.DeepEqual(r, want) {
		t.Errorf("%+v, %v", r, err)
	}
	if image, err := DecodeIntent([]byte(`{"kind":"ImagePullIntent","apiVersion":"kubelet.config.k8s.io/v1alpha1","image":"a.io/x:1"}`)); image != "a.io/x:1" || err != nil {
		t.Errorf("%q, %v", image, err)
	}
}

func TestEncodeBounds(t *testing.T) {
	c := Credentials{Secrets: []Secret{{Name: strings.Repeat("n", MaxSize)}}}
	if _, err := Encode(*on(c)); err == nil || !strings.Contains(err.Error(), "image ref") {
		t.Errorf("a record that nobody could read: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":"2024-10-21T12:26:40Z","imageRef":"r","credentialMapping":{"a.io/x":{"kubernetesSecrets":[{"uid":"u","namespace":"n","name":"s","credentialHash":"h"}]}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		out, err := Encode(r)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", r, err)
		}
		r.LastUpdated = r.LastUpdated.Truncate(time.Second)
		again, err := Decode(out)
		if err != nil || again.ImageRef != r.ImageRef || !again.LastUpdated.Equal(r.LastUpdated) || len(again.Credentials) != len(r.Credentials) {
			t.Fatalf("%+v is written as %s and read as %+v, %v", r, out, again, err)
		}
		for image := range r.Credentials {
			if v, c := (Policy{}).Decide(image, Evidence{Record: &r}); v == MustMatch {
				c.Match(Held{Secrets: []Secret{mine}})
			}
		}
	})
}

func FuzzDecodeIntent(f *testing.F) {
	f.Add([]byte(`{"kind":"ImagePullIntent","apiVersion":"kubelet.config.k8s.io/v1beta1","image":"a.io/x:1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		image, err := DecodeIntent(b)
		if err != nil {
			return
		}
		out, err := EncodeIntent(image)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := DecodeIntent(out); again != image || err != nil {
			t.Fatalf("%q is written as %s and read as %q, %v", image, out, again, err)
		}
	})
}

func FuzzRepository(f *testing.F) {
	f.Add("a.io:5000/b/c:t@sha256:" + strings.Repeat("a", 64))
	f.Fuzz(func(t *testing.T, s string) {
		name, err := Repository(s)
		if err != nil {
			return
		}
		if again, err := Repository(name); again != name || err != nil || !strings.HasPrefix(s, name) {
			t.Fatalf("%q is called %q, and that %q, %v", s, name, again, err)
		}
	})
}

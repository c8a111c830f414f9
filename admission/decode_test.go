package admission_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/admission"
)

const good = `# a comment before anything
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data:
  text: |
    a: b
     --- not a separator
---
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
  - name: web
    image: nginx
    resources: {requests: {cpu: 100m}}
---
# nothing here
---
{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}}]}
`

func TestDecode(t *testing.T) {
	objs, err := admission.Decode([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if len(objs) != 3 || objs[0].GetName() != "settings" || objs[1].GetName() != "web" || objs[2].GetName() != "s" {
		t.Fatalf("decoded %v", objs)
	}
	if cm := objs[0].(*corev1.ConfigMap); cm.Data["text"] != "a: b\n --- not a separator\n" {
		t.Errorf("data %q", cm.Data["text"])
	}
	if p := objs[1].(*corev1.Pod); p.Spec.RestartPolicy != "" || p.Spec.Containers[0].Resources.Requests.Cpu().MilliValue() != 100 {
		t.Errorf("pod %+v", p.Spec)
	}
}

func TestDecodeErrors(t *testing.T) {
	head := "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n"
	json := func(rest string) string {
		return `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"},` + rest + `}`
	}
	cannot := `Pod in version "v1" cannot be handled as a Pod: `
	for name, tc := range map[string]struct{ manifest, want string }{
		"unknown field": {head + "spec: {foo: 1, containers: []}",
			`document 1 (line 1), Pod "web": ` + cannot + `strict decoding error: unknown field "spec.foo"`},
		"all unknown fields": {head + "spec:\n  foo: 1\n  containers:\n  - {name: a, imag: b}\n",
			`document 1 (line 1), Pod "web": ` + cannot + `strict decoding error: unknown field "spec.containers[0].imag", unknown field "spec.foo"`},
		"wrong case": {head + "Spec: {}",
			`document 1 (line 1), Pod "web": ` + cannot + `strict decoding error: unknown field "Spec"`},
		"wrong type": {head + "spec: {containers: nginx}",
			`document 1 (line 1), Pod "web": ` + cannot + `json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container`},
		"number for string": {head + "spec: {nodeName: 5}",
			`document 1 (line 1), Pod "web": ` + cannot + `json: cannot unmarshal number into Go struct field PodSpec.spec.nodeName of type string`},
		"bad quantity": {head + "spec: {containers: [{name: a, resources: {limits: {cpu: lots}}}]}",
			`document 1 (line 1), Pod "web": ` + cannot + `quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'`},
		"repeated key": {head + "spec: {nodeName: a, nodeName: b}",
			`document 1 (line 1), Pod "web": ` + cannot + "strict decoding error: yaml: unmarshal errors:\n  line 4: key \"nodeName\" already set in map"},
		"repeated key in JSON": {json(`"spec":{"nodeName":"a","nodeName":"b"}`),
			`document 1, Pod "web": ` + cannot + `strict decoding error: duplicate field "spec.nodeName"`},
		"second is bad": {head + "---\n" + head + "spec: {foo: 1}",
			`document 2 (line 5), Pod "web": ` + cannot + `strict decoding error: unknown field "spec.foo"`},
		"in a list": {`{"apiVersion":"v1","kind":"List","items":[` + json(`"spec":{"foo":1}`) + `]}`,
			`document 1, List "": items[0]: ` + cannot + `strict decoding error: unknown field "spec.foo"`},
		"unknown kind": {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}",
			`document 1 (line 1), Deployment "d": no kind "Deployment" is registered for version "apps/v1"; use one of ConfigMap, Namespace, Node, Pod, Secret, Service, ServiceAccount of v1`},
		"no kind":     {"apiVersion: v1\n", `document 1 (line 1): Object 'Kind' is missing`},
		"no version":  {"kind: Pod\n", `document 1 (line 1), Pod "": Object 'apiVersion' is missing`},
		"empty":       {"\n---\n# nothing\n", `document 1: the manifest holds no object: one with apiVersion and kind is wanted`},
		"a scalar":    {"hello", `document 1 (line 1): it is of type string: an object with apiVersion and kind is wanted`},
		"a list":      {"- a", `document 1 (line 1): it is of type array: an object with apiVersion and kind is wanted`},
		"two kinds":   {"kind: [Pod, Node]", `document 1 (line 1): kind is of type array: a string is wanted`},
		"broken YAML": {"apiVersion: v1\nkind: [Pod", `document 1 (line 1): yaml: line 2: did not find expected ',' or ']'`},
	} {
		t.Run(name, func(t *testing.T) {
			objs, err := admission.Decode([]byte(tc.manifest))
			if err == nil || objs != nil {
				t.Fatalf("decoded %v, %v", objs, err)
			}
			var d *admission.DecodeError
			if err.Error() != tc.want || !errors.As(err, &d) || d.Reason() != "BadRequest" {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

// Kinds that the caller does not take are refused where they stand.
func TestDecodeOnly(t *testing.T) {
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n"
	if objs, err := admission.Decode([]byte(pod), "Pod", "Secret"); err != nil || len(objs) != 1 {
		t.Errorf("a pod among pods and secrets: %v, %v", objs, err)
	}
	_, err := admission.Decode([]byte(pod+"---\napiVersion: v1\nkind: Service\nmetadata: {name: front}\n"), "Pod", "Secret")
	if want := `document 2 (line 5), Service "front": kind "Service" is not taken here; use one of Pod, Secret of v1`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	_, err = admission.Decode([]byte("apiVersion: apps/v1\nkind: Deployment\n"), "Pod", "Secret")
	if want := `document 1 (line 1), Deployment "": no kind "Deployment" is registered for version "apps/v1"; use one of Pod, Secret of v1`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestDecodeLimits(t *testing.T) {
	big := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: " + strings.Repeat("x", admission.MaxDocument) + "}"
	if _, err := admission.Decode([]byte(big)); err == nil || !strings.Contains(err.Error(), "the limit is 3145728") {
		t.Errorf("a document beyond the limit: %.100v", err)
	}
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 9), ",") + "]\n"
	}
	if _, err := admission.Decode([]byte("apiVersion: v1\nkind: Pod\n" + bomb)); err == nil || !strings.Contains(err.Error(), "excessive aliasing") {
		t.Errorf("aliases of aliases: %.100v", err)
	}
}

// Whatever comes in: no panic, an error or objects, and each object again decodes.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(`{"apiVersion":"v1","kind":"Pod"}{"apiVersion":"v1","kind":"Node"}`))
	f.Add([]byte("--- {apiVersion: v1, kind: Pod}\n...\n---\n"))
	if data, err := os.ReadFile("testdata/web.yaml"); err == nil {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		objs, err := admission.Decode(data)
		if (err == nil) != (len(objs) > 0) {
			t.Fatalf("%d objects and error %v", len(objs), err)
		}
		for _, obj := range objs {
			if obj.GetObjectKind().GroupVersionKind().Kind == "" {
				t.Errorf("%T without its kind", obj)
			}
		}
	})
}

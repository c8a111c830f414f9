package admission_test

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/admission"
)

func ExampleDecode() {
	_, err := admission.Decode([]byte("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web, imgae: nginx}]}"))
	fmt.Println(err)
	// Output: document 1 (line 1), Pod "web": Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.containers[0].imgae"
}

func ExamplePath() {
	owner := admission.Plugin{Name: "owner", Mutate: admission.MutateFunc(func(_ context.Context, r *admission.Request) error {
		r.Object.SetLabels(map[string]string{"owner": "me"})
		return nil
	})}
	path := admission.Path{Plugins: append([]admission.Plugin{owner}, admission.Default()...), Explain: true}

	objects, _ := admission.Decode([]byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"},"spec":{"containers":[{"name":"web","image":"nginx"}]}}`))
	result, err := path.Create(context.Background(), objects[0])
	fmt.Println(result.Object.(*corev1.Pod).Status.QOSClass, err)
	for _, step := range result.Steps {
		if step.Plugin == "owner" {
			fmt.Println(step.Phase, step.Changes)
		}
	}
	// Output:
	// BestEffort <nil>
	// mutate [metadata.labels[owner]: none → me]
}

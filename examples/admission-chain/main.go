// Command admission-chain admits a pod through a chain with a plugin of its own,
// and tells what each step changed.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/lifepod/lifepod/admission"
)

const manifest = `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - {name: web, image: nginx, resources: {limits: {cpu: 500m}}}
`

func main() {
	team := admission.Plugin{Name: "Team", Mutate: admission.MutateFunc(func(_ context.Context, r *admission.Request) error {
		r.Object.SetLabels(map[string]string{"team": "blue"})
		return nil
	})}
	path := &admission.Path{Plugins: append([]admission.Plugin{team}, admission.Default()...), Explain: true}
	objs, err := admission.Decode([]byte(manifest))
	if err != nil {
		log.Fatal(err)
	}
	result, err := path.Create(context.Background(), objs[0])
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range result.Steps {
		fmt.Printf("%s %s\n", s.Phase, s.Plugin)
		for _, c := range s.Changes {
			fmt.Println("   ", c)
		}
	}
}

package pullrecord_test

import (
	"fmt"
	"time"

	"github.com/lifepod/lifepod/image/pullrecord"
)

func Example() {
	mine := pullrecord.Secret{UID: "1", Namespace: "team", Name: "registry", Hash: "5e88…"}
	record, err := pullrecord.Merge(nil, "sha256:1", "registry.example/app:1",
		&pullrecord.Credentials{Secrets: []pullrecord.Secret{mine}}, time.Now())
	if err != nil {
		fmt.Println(err)
		return
	}
	var policy pullrecord.Policy // the kubelet's default
	verdict, on := policy.Decide("registry.example/app:1", pullrecord.Evidence{Record: record})
	fmt.Println(verdict)

	with, _ := on.Match(pullrecord.Held{Secrets: []pullrecord.Secret{mine}})
	without, _ := on.Match(pullrecord.Held{})
	fmt.Println("with the secret:", with, "without:", without)
	// Output:
	// must match
	// with the secret: true without: false
}

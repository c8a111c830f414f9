package policy_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/lifepod/lifepod/image/policy"
)

func Example() {
	image := "registry.example/app:1"
	fmt.Println(policy.Default(image), policy.Decide(policy.Default(image), image, false).Pull)

	now := time.Unix(0, 0)
	var b policy.Backoff
	b = b.Failure(now)
	fmt.Println(policy.BackingOff(image, policy.Failed(image, errors.New("connection refused"))))
	fmt.Println("again in", b.Until(now).Sub(now))
	// Output:
	// IfNotPresent true
	// ImagePullBackOff: Back-off pulling image "registry.example/app:1": ErrImagePull: connection refused
	// again in 10s
}

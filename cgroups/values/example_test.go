package values_test

import (
	"fmt"

	"github.com/lifepod/lifepod/cgroups/values"
)

func Example() {
	shares := values.MilliCPUToShares(250)
	fmt.Println("shares:", shares)
	fmt.Println("pod weight:", values.SharesToWeight(shares))
	fmt.Println("container weight:", values.ContainerWeight(shares))
	fmt.Println("quota:", values.MilliCPUToQuota(1500, values.DefaultPeriod))

	name, err := values.PodName(values.Burstable, "8f2c")
	fmt.Println(name.Under("/lifepod-1a2b3c4d"), err)
	// Output:
	// shares: 256
	// pod weight: 10
	// container weight: 35
	// quota: 150000
	// /lifepod-1a2b3c4d/kubepods/burstable/pod8f2c <nil>
}

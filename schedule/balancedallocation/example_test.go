package balancedallocation_test

import (
	"fmt"

	"github.com/lifepod/lifepod/schedule/balancedallocation"
)

func ExampleBalance() {
	fmt.Println(balancedallocation.Balance(1000, 4000, 2<<30, 8<<30), balancedallocation.Balance(4000, 4000, 0, 8<<30))
	// Output: 100 50
}

package crilog

import (
	"fmt"
	"time"
)

func ExampleFormat() {
	at := time.Date(2016, 10, 6, 0, 17, 9, 669794202, time.UTC)
	out, used, entries := Format(nil, "stdout", at, []byte("a line\nits end is still to co"), false, 1<<20)
	fmt.Print(string(out))
	fmt.Println(used, entries)
	// Output:
	// 2016-10-06T00:17:09.669794202Z stdout F a line
	// 7 1
}

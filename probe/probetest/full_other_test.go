//go:build !unix

package probetest_test

import "testing"

func fullQueue(t *testing.T) int {
	t.Skip("it needs a listen queue that can be filled")
	return 0
}

package image

import "testing"

// InOnePage makes the test's mounts as kernels do that take all lower directories
// of an overlayfs in one page of options.
func InOnePage(t testing.TB) {
	takesOneByOne() // asks, if nobody did
	old := oneByOne.Swap(2)
	t.Cleanup(func() { oneByOne.Store(old) })
}

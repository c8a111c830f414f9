//go:build !unix

package show

import "os"

// watchSize knows of no signal here: the size is asked for at each drawing.
func watchSize() (changed <-chan os.Signal, forget func()) { return nil, func() {} }

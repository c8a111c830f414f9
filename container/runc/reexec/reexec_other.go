//go:build !linux || !cgo

package reexec

import (
	"errors"

	"github.com/lifepod/lifepod/container/runc/internal/boot"
)

func init() {
	boot.InstallHook(errors.New("this program was built for another system or without cgo (CGO_ENABLED=1 and a C compiler are needed): " +
		"it cannot be executed as a supervisor; put a prebuilt lifepod-supervisor beside it or set Options.Supervisor"))
}

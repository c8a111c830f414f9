//go:build cgo

package confine

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"

	"github.com/lifepod/lifepod/container/seccomp"
	"github.com/lifepod/lifepod/internal/sys"
)

// marker is a capability that no kernel has.
const marker = "CAP_LIFEPOD_SECCOMP"

// Handover is a filter on its way to a process.
type Handover struct {
	file *os.File
	text int64
}

// Prepare has p be confined by f when it is started. Close is called when Check
// has been.
func Prepare(p *libcontainer.Process, f seccomp.Filter) (*Handover, error) {
	if len(p.ExtraFiles) > 0 {
		return nil, errors.New("hand over the seccomp filter: descriptor 3 is taken")
	}
	late := p.Capabilities == nil || p.NoNewPrivileges != nil && *p.NoNewPrivileges
	if !late {
		p.Capabilities = marked(*p.Capabilities)
	}
	file, err := sys.Memfd("lifepod-seccomp", encode(f, late))
	if err != nil {
		return nil, fmt.Errorf("hand over the seccomp filter: %w", err)
	}
	p.ExtraFiles = []*os.File{file}
	return &Handover{file: file, text: textOffset(len(f.Program))}, nil
}

func marked(c configs.Capabilities) *configs.Capabilities {
	c.Bounding = append(slices.Clip(c.Bounding), marker)
	return &c
}

// Check makes of err, which libcontainer's start returned, what is to be
// returned: nil only if the process is confined. A process that was started
// nevertheless must be killed.
func (h *Handover) Check(err error) error {
	b := make([]byte, 4)
	if _, rerr := h.file.ReadAt(b, stateOffset); rerr != nil {
		return errors.Join(err, fmt.Errorf("learn whether the process is confined: %w", rerr))
	}
	switch state := order.Uint32(b); {
	case state == stateFailed:
		text := make([]byte, maxText)
		n, _ := h.file.ReadAt(text, h.text)
		return fmt.Errorf("apply the seccomp profile: %s", text[:n])
	case err == nil && state != stateConfined:
		return errors.New("apply the seccomp profile: the process did not install it (is this another version of libcontainer?)")
	}
	return err
}

// Close frees the filter. The process has its own descriptor of it.
func (h *Handover) Close() error { return h.file.Close() }

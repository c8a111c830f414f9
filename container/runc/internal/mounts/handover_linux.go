package mounts

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/internal/sys"
)

// The memfd begins with magic and the plan's length; the plan follows, and the
// text of an error if init met one.
const (
	magic      = "lifepod-mounts01"
	headerSize = len(magic) + 4
	maxPlan    = 1 << 20
	maxText    = 4 << 10
)

// Handover is a plan on its way to init.
type Handover struct {
	file *os.File
	text int64
}

// HandOver gives p to an init that gets Handover.File among its first files.
func (p *Plan) HandOver() (*Handover, error) {
	body, err := json.Marshal(p)
	if err == nil && len(body) > maxPlan {
		err = fmt.Errorf("the plan has %d bytes, %d at most", len(body), maxPlan)
	}
	if err != nil {
		return nil, fmt.Errorf("hand over the mounts: %w", err)
	}
	head := binary.NativeEndian.AppendUint32([]byte(magic), uint32(len(body)))
	file, err := sys.Memfd("lifepod-mounts", append(head, body...))
	if err != nil {
		return nil, fmt.Errorf("hand over the mounts: %w", err)
	}
	return &Handover{file: file, text: int64(headerSize + len(body))}, nil
}

// File is what init needs.
func (h *Handover) File() *os.File { return h.file }

// Check makes of err, which libcontainer's start returned, what is to be returned.
func (h *Handover) Check(err error) error {
	text := make([]byte, maxText)
	if n, _ := h.file.ReadAt(text, h.text); n > 0 {
		return fmt.Errorf("error during container init: %s", text[:n])
	}
	return err
}

// Close frees the plan. Init has its own descriptor of it.
func (h *Handover) Close() error { return h.file.Close() }

// receive reads the plan that fd holds. A file that is something else is no
// error.
func receive(fd int) (p *Plan, ours bool, text int64, err error) {
	head := make([]byte, headerSize)
	if n, _ := unix.Pread(fd, head, 0); n != headerSize || string(head[:len(magic)]) != magic {
		return nil, false, 0, nil
	}
	size := binary.NativeEndian.Uint32(head[len(magic):])
	if size > maxPlan {
		return nil, true, int64(headerSize), fmt.Errorf("the plan has %d bytes", size)
	}
	text = int64(headerSize) + int64(size)
	body := make([]byte, size)
	if n, err := unix.Pread(fd, body, int64(headerSize)); n != len(body) || err != nil {
		return nil, true, text, errors.Join(fmt.Errorf("read the plan: %d of %d bytes", n, len(body)), err)
	}
	p = new(Plan)
	return p, true, text, json.Unmarshal(body, p)
}

// Arm is called in libcontainer's init before libcontainer. It makes the mounts
// of the plan that one of the first descriptors holds, if any does. If that
// fails the process ends.
func Arm() {
	for fd := 3; fd < 5; fd++ {
		p, ours, text, err := receive(fd)
		if !ours {
			continue
		}
		if err == nil {
			err = p.make()
		}
		if err != nil {
			b := []byte(err.Error())
			_, _ = unix.Pwrite(fd, b[:min(len(b), maxText)], text)
			os.Exit(1)
		}
		unix.Close(fd)
		return
	}
}

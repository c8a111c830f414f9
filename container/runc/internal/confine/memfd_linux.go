package confine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container/seccomp"
)

// header is the beginning of the memfd. The program follows it, then the text
// of an error.
type header struct {
	Magic [16]byte
	State uint32
	Late  uint32 // 1 to install the filter at the last moment
	Flags uint32
	Count uint32 // of instructions
}

var magic = [16]byte([]byte("lifepod-seccomp1"))

const (
	stateNew       = iota
	stateConfined  // or dead: it is written just before
	stateFailed    // an error's text is at the end
	stateOffset    = 16
	headerSize     = 32
	instructionLen = 8
	maxText        = 4 << 10
)

var order = binary.NativeEndian

func encode(f seccomp.Filter, late bool) []byte {
	h := header{Magic: magic, Flags: f.Flags, Count: uint32(len(f.Program))}
	if late {
		h.Late = 1
	}
	var b bytes.Buffer
	b.Grow(headerSize + instructionLen*len(f.Program))
	_ = binary.Write(&b, order, h) // a buffer takes everything
	for _, i := range f.Program {
		_ = binary.Write(&b, order, i)
	}
	return b.Bytes()
}

// decode reads what encode wrote. A file that is something else is no error.
func decode(fd int) (f seccomp.Filter, late, ours bool, err error) {
	b := make([]byte, headerSize)
	if n, _ := unix.Pread(fd, b, 0); n != headerSize {
		return f, false, false, nil
	}
	var h header
	_, _ = binary.Decode(b, order, &h)
	if h.Magic != magic {
		return f, false, false, nil
	}
	if h.Count == 0 || h.Count > 4096 {
		return f, false, true, fmt.Errorf("the filter has %d instructions", h.Count)
	}
	b = make([]byte, instructionLen*h.Count)
	if n, err := unix.Pread(fd, b, headerSize); n != len(b) || err != nil {
		return f, false, true, errors.Join(fmt.Errorf("read the filter: %d of %d bytes", n, len(b)), err)
	}
	f = seccomp.Filter{Flags: h.Flags, Program: make([]bpf.RawInstruction, h.Count)}
	_, err = binary.Decode(b, order, f.Program)
	return f, h.Late == 1, true, err
}

func setState(fd int, s uint32) error {
	b := make([]byte, 4)
	order.PutUint32(b, s)
	_, err := unix.Pwrite(fd, b, stateOffset)
	return err
}

// textOffset is where the text of an error is.
func textOffset(instructions int) int64 { return int64(headerSize + instructionLen*instructions) }

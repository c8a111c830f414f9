package seccomp

import (
	"slices"

	"golang.org/x/net/bpf"
)

// The instructions that we use.
const (
	opLoad         = 0x20
	opAnd          = 0x54
	opJump         = 0x05
	opEqual        = 0x15
	opGreater      = 0x25
	opGreaterEqual = 0x35
	opReturn       = 0x06
)

// emitter writes a program from its end to its beginning, as BPF jumps only
// forwards: what an instruction jumps to is there already. A label is the number
// of instructions from it to the end.
type emitter struct {
	reversed []bpf.RawInstruction
	returns  map[uint32]int
}

func newEmitter() *emitter { return &emitter{returns: map[uint32]int{}} }

func (e *emitter) program() []bpf.RawInstruction {
	slices.Reverse(e.reversed)
	return e.reversed
}

func (e *emitter) put(op uint16, jt, jf uint8, k uint32) int {
	e.reversed = append(e.reversed, bpf.RawInstruction{Op: op, Jt: jt, Jf: jf, K: k})
	return len(e.reversed)
}

// skip is how many instructions lie between the next one and l.
func (e *emitter) skip(l int) int { return len(e.reversed) - l }

// near is how far conditional jumps can go, less one for an instruction that
// may come between.
const near = 254

// ret returns v to the kernel.
func (e *emitter) ret(v uint32) int {
	if l, ok := e.returns[v]; ok && e.skip(l) <= near/2 {
		return l
	}
	e.returns[v] = e.put(opReturn, 0, 0, v)
	return e.returns[v]
}

// jump compares what was loaded with k.
func (e *emitter) jump(op uint16, k uint32, yes, no int) int {
	if e.skip(no) > near {
		no = e.put(opJump, 0, 0, uint32(e.skip(no)))
	}
	if e.skip(yes) > near {
		yes = e.put(opJump, 0, 0, uint32(e.skip(yes)))
	}
	return e.put(op, uint8(e.skip(yes)), uint8(e.skip(no)), k)
}

// follow has the next instruction be followed by l.
func (e *emitter) follow(l int) {
	if e.skip(l) > 0 {
		e.put(opJump, 0, 0, uint32(e.skip(l)))
	}
}

// load takes the word at an offset of the call's data, then goes on at l.
func (e *emitter) load(offset uint32, l int) int {
	e.follow(l)
	return e.put(opLoad, 0, 0, offset)
}

func (e *emitter) and(mask uint32, l int) int {
	e.follow(l)
	return e.put(opAnd, 0, 0, mask)
}

package seccomp

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// cond compares one argument. Only SCMP_CMP_MASKED_EQ has a mask.
type cond struct {
	arg         uint
	op          specs.LinuxSeccompOperator
	mask, value uint64
}

const maxArgs = 6

func newCond(a specs.LinuxSeccompArg) (cond, error) {
	if a.Index >= maxArgs {
		return cond{}, fmt.Errorf("index %d: a system call has %d arguments", a.Index, maxArgs)
	}
	c := cond{arg: a.Index, op: a.Op, value: a.Value}
	switch a.Op {
	case specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo, specs.OpGreaterEqual, specs.OpGreaterThan:
	case specs.OpMaskedEqual:
		c.mask, c.value = a.Value, a.ValueTwo
	default:
		return cond{}, fmt.Errorf("op %q is not known", a.Op)
	}
	return c, nil
}

// Offsets in the kernel's struct seccomp_data, on little-endian machines.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

func (c cond) low() uint32  { return offArgs + 8*uint32(c.arg) }
func (c cond) high() uint32 { return c.low() + 4 }

// emit writes code that goes on at yes if c holds, else at no. Where arguments
// have 32 bits, the upper halves are not looked at.
func (c cond) emit(e *emitter, wide bool, yes, no int) int {
	switch c.op {
	case specs.OpNotEqual:
		return c.equal(e, wide, no, yes)
	case specs.OpEqualTo:
		return c.equal(e, wide, yes, no)
	case specs.OpMaskedEqual:
		return c.masked(e, wide, yes, no)
	case specs.OpGreaterThan:
		return c.greater(e, opGreater, wide, yes, no)
	case specs.OpGreaterEqual:
		return c.greater(e, opGreaterEqual, wide, yes, no)
	case specs.OpLessEqual:
		return c.greater(e, opGreater, wide, no, yes)
	default: // OpLessThan: newCond knows no other
		return c.greater(e, opGreaterEqual, wide, no, yes)
	}
}

func (c cond) equal(e *emitter, wide bool, yes, no int) int {
	l := e.load(c.low(), e.jump(opEqual, uint32(c.value), yes, no))
	if !wide {
		return l
	}
	return e.load(c.high(), e.jump(opEqual, uint32(c.value>>32), l, no))
}

func (c cond) masked(e *emitter, wide bool, yes, no int) int {
	l := e.load(c.low(), e.and(uint32(c.mask), e.jump(opEqual, uint32(c.value), yes, no)))
	if !wide || c.mask>>32 == 0 && c.value>>32 == 0 {
		return l
	}
	return e.load(c.high(), e.and(uint32(c.mask>>32), e.jump(opEqual, uint32(c.value>>32), l, no)))
}

// greater compares the lower halves by op if the upper ones are equal.
func (c cond) greater(e *emitter, op uint16, wide bool, yes, no int) int {
	l := e.load(c.low(), e.jump(op, uint32(c.value), yes, no))
	if !wide {
		return l
	}
	l = e.jump(opEqual, uint32(c.value>>32), l, no)
	return e.load(c.high(), e.jump(opGreater, uint32(c.value>>32), yes, l))
}

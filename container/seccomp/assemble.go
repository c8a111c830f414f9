package seccomp

import (
	"maps"
	"slices"

	"golang.org/x/net/bpf"
)

// span is what happens to the calls from a number up to the next span's.
type span struct {
	from  uint32
	ret   uint32
	rules []rule // asked first, if any
	wide  bool   // the rules look at all 64 bits
}

// assemble puts the architectures' parts together. The first is the machine's own.
func assemble(archs []*arch, p *policy) []bpf.RawInstruction {
	e := newEmitter()
	l := e.ret(retKillThread) // of another architecture
	for _, a := range slices.Backward(archs) {
		if a.x32 {
			continue // part of x86_64
		}
		body := e.load(offNumber, e.choose(section(a, slices.Contains(archs, archX32), p)))
		l = e.jump(opEqual, a.audit, body, l)
	}
	e.load(offArch, l)
	return e.program()
}

// section is what happens on an architecture. x86_64's holds x32's.
func section(a *arch, x32 bool, p *policy) []span {
	spans := archSpans(a, p)
	switch {
	case a != archAMD64:
		return spans
	case x32:
		return merge(append(spans, archSpans(archX32, p)...))
	}
	// The number -1 is what a tracer leaves of a call that it took away.
	return merge(append(spans, span{from: x32Bit, ret: retKillThread}, span{from: 0xffffffff, ret: p.def}))
}

func archSpans(a *arch, p *policy) []span {
	byNumber, largest := p.on(a)
	at := uint32(0)
	if a.x32 {
		at = x32Bit
	}
	var spans []span
	for _, n := range slices.Sorted(maps.Keys(byNumber)) {
		if n > at {
			spans = append(spans, span{from: at, ret: p.def})
		}
		s := span{from: n, ret: p.def, rules: byNumber[n], wide: a.wide}
		if len(s.rules[0].conds) == 0 {
			s.ret, s.rules = s.rules[0].ret, nil
		}
		spans = append(spans, s)
		at = n + 1
	}
	if p.modern && largest > 0 {
		if at <= largest {
			spans = append(spans, span{from: at, ret: p.def})
		}
		return merge(append(spans, span{from: largest + 1, ret: retErrno | enosys}))
	}
	return merge(append(spans, span{from: at, ret: p.def}))
}

// merge joins neighbours that are the same.
func merge(spans []span) []span {
	out := spans[:1]
	for _, s := range spans[1:] {
		last := out[len(out)-1]
		if len(s.rules)+len(last.rules) == 0 && s.ret == last.ret {
			continue
		}
		out = append(out, s)
	}
	return out
}

// choose finds the span of the loaded number by halves.
func (e *emitter) choose(spans []span) int {
	if len(spans) == 1 {
		return e.decide(spans[0])
	}
	half := len(spans) / 2
	upper := e.choose(spans[half:])
	lower := e.choose(spans[:half])
	return e.jump(opGreaterEqual, spans[half].from, upper, lower)
}

// decide asks the rules in their order.
func (e *emitter) decide(s span) int {
	l := e.ret(s.ret)
	for _, r := range slices.Backward(s.rules) {
		no, yes := l, e.ret(r.ret)
		for _, c := range slices.Backward(r.conds) {
			yes = c.emit(e, s.wide, yes, no)
		}
		l = yes
	}
	return l
}

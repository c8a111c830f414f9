package image

import (
	"sync"
	"time"
)

// progress calls report, one call at a time, at each change of phase and a few
// times a second in between.
type progress struct {
	report func(Progress)
	mu     sync.Mutex
	last   map[int]Progress
}

const progressEvery = 100 * time.Millisecond

func (p *progress) set(v Progress, phase Phase, bytes int64) {
	if p.report == nil {
		return
	}
	v.Phase, v.Bytes, v.At = phase, bytes, time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	last, ok := p.last[v.Index]
	if ok && last.Phase == phase && v.At.Sub(last.At) < progressEvery && bytes < v.Total {
		return
	}
	if p.last == nil {
		p.last = map[int]Progress{}
	}
	p.last[v.Index] = v
	p.report(v)
}

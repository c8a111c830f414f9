package pacing

import "time"

// Bucket holds at most Burst tokens, and gets one back at every Every. It is full
// at first. The zero value never runs out.
type Bucket struct {
	Every time.Duration
	Burst int

	full time.Time // when it is full again
}

// Take takes a token at now; it is not ok if there is none. A clock that is set
// back gives no tokens, and takes none away.
func (b Bucket) Take(now time.Time) (left Bucket, ok bool) {
	if b.Every <= 0 {
		return b, true
	}
	whole := time.Duration(b.Burst) * b.Every // what an empty bucket needs
	if b.full.Before(now) {
		b.full = now
	}
	if empty := now.Add(whole); b.full.After(empty) { // the clock was set back
		b.full = empty
	}
	if next := b.full.Add(b.Every); next.Sub(now) <= whole {
		b.full, ok = next, true
	}
	return b, ok
}

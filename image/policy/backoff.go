package policy

import "time"

// The pull backoff of Kubernetes.
const (
	BackoffInitial = 10 * time.Second
	BackoffMax     = 300 * time.Second
	// BackoffExpiry is the time after the last failure at which it is forgotten.
	BackoffExpiry = 2 * BackoffMax
)

// Backoff is the state of one pod's attempts at one image. The zero value is
// that of no failure. A successful pull does not change it: only time does.
type Backoff struct {
	// Delay is how long to wait after Since, the time of the last failure.
	Delay time.Duration
	Since time.Time
}

// Failure is the state after an attempt failed at now.
func (b Backoff) Failure(now time.Time) Backoff {
	if b.expired(now) {
		return Backoff{BackoffInitial, now}
	}
	return Backoff{min(2*b.Delay, BackoffMax), now}
}

// Until is when the next attempt may be made; the zero time means now.
func (b Backoff) Until(now time.Time) time.Time {
	if t := b.Since.Add(b.Delay); !b.expired(now) && now.Before(t) {
		return t
	}
	return time.Time{}
}

func (b Backoff) expired(now time.Time) bool {
	return b.Delay == 0 || now.Sub(b.Since) > BackoffExpiry
}

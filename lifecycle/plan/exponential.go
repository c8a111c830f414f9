package plan

import "time"

// BackoffPolicy says how a delay grows: it doubles from Initial to Max, and is
// forgotten when nothing failed for Expiry (zero means twice Max).
type BackoffPolicy struct{ Initial, Max, Expiry time.Duration }

// The kubelet's policies: for containers that end, and for pulls that fail.
var (
	CrashBackoff = BackoffPolicy{Initial: 10 * time.Second, Max: 300 * time.Second, Expiry: 600 * time.Second}
	PullBackoff  = BackoffPolicy{Initial: 10 * time.Second, Max: 300 * time.Second}
)

// BackoffEntry is what was decided at the last failure; its zero value stands
// for none.
type BackoffEntry struct {
	Delay   time.Duration `json:"delay"`
	Updated time.Time     `json:"updated"`
}

// Next gives the entry after one more failure, which happened at event and is
// acted on now.
func (p BackoffPolicy) Next(e BackoffEntry, event, now time.Time) BackoffEntry {
	if e.Delay == 0 || p.Expired(e, event) {
		return BackoffEntry{Delay: p.Initial, Updated: now}
	}
	return BackoffEntry{Delay: min(2*e.Delay, p.Max), Updated: now}
}

// Expired says that a failure at event starts from the first delay again.
func (p BackoffPolicy) Expired(e BackoffEntry, event time.Time) bool {
	expiry := p.Expiry
	if expiry == 0 {
		expiry = 2 * p.Max
	}
	return event.Sub(e.Updated) > expiry
}

// Until gives the end of the delay of something that happened at event, counted
// from since; false when there is no delay, or it is forgotten.
func (p BackoffPolicy) Until(e BackoffEntry, event, since time.Time) (time.Time, bool) {
	if e.Delay == 0 || p.Expired(e, event) {
		return time.Time{}, false
	}
	return since.Add(e.Delay), true
}

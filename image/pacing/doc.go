// Package pacing bounds the pulls of a node as the kubelet does: so many at
// once, whoever came first goes first, and so many begun per second. What may
// begin is decided in values ([Bucket]); a [Gate] makes pulls wait, or refuses
// them.
//
// Names, defaults and the text of [ErrRate] are those of Kubernetes 1.37.
package pacing

import (
	"errors"
	"fmt"
	"time"
)

// The kubelet's registryPullQPS, registryBurst and, with serializeImagePulls,
// maxParallelImagePulls.
const (
	DefaultQPS      = 5
	DefaultBurst    = 10
	DefaultParallel = 1
)

// ErrRate is what becomes of a pull that would be one too many: it fails, as a
// pull does that the registry refuses, and is backed off.
var ErrRate = errors.New("pull QPS exceeded")

// Limits bound the pulls of a node. The zero value holds the kubelet's defaults.
type Limits struct {
	// QPS is how many pulls may begin per second when Burst at once are used up.
	// Zero means 5; -1 is no limit, the kubelet's 0.
	QPS int
	// Burst is how many may begin at once. Zero means 10.
	Burst int
	// Parallel is how many may run at once. Zero means 1, one after another; -1 is
	// no limit.
	Parallel int
}

// Check refuses limits that mean nothing.
func (l Limits) Check() error {
	for name, n := range map[string]int{"QPS": l.QPS, "Parallel": l.Parallel} {
		if n < -1 {
			return fmt.Errorf("limits of pulls: %s is %d; a positive number, 0 for the default, or -1 for no limit", name, n)
		}
	}
	if l.Burst < 0 {
		return fmt.Errorf("limits of pulls: Burst is %d; a positive number, or 0 for the default", l.Burst)
	}
	if int64(l.QPS) > int64(time.Second) {
		return fmt.Errorf("limits of pulls: QPS is %d; at most %d, or -1 for no limit", l.QPS, time.Second)
	}
	return nil
}

// Bucket is a full bucket of l's rate.
func (l Limits) Bucket() Bucket {
	qps, burst := l.QPS, l.Burst
	if qps == 0 {
		qps = DefaultQPS
	}
	if burst == 0 {
		burst = DefaultBurst
	}
	if qps < 0 {
		return Bucket{}
	}
	return Bucket{Every: time.Second / time.Duration(qps), Burst: burst}
}

package imagegc

import (
	"errors"
	"time"

	"github.com/lifepod/lifepod/image"
)

// ReasonImageGCFailed is the kubelet's for a collection that failed again.
const ReasonImageGCFailed = "ImageGCFailed"

// event is a warning about the node.
type event struct{ reason, message string }

// memory is what one collection leaves to the next.
type memory struct {
	last   time.Time // when the last one ended
	failed bool
	freed  time.Time // when one last removed something
}

// after is what follows a collection that ended at now: a disk that stays too
// full is told each time, any failure from the second in a row on.
func (m memory) after(now time.Time, freed bool, err error) (memory, []event) {
	var events []event
	var r interface {
		error
		Reason() string
	}
	if errors.As(err, &r) && (r.Reason() == image.ReasonFreeDiskSpace || r.Reason() == image.ReasonInvalidDiskCapacity) {
		events = append(events, event{r.Reason(), r.Error()})
	}
	if err != nil && m.failed {
		events = append(events, event{ReasonImageGCFailed, err.Error()})
	}
	m.last, m.failed = now, err != nil
	if freed {
		m.freed = now
	}
	return m, events
}

// worthwhile says whether a look before its time may bring anything: not soon
// after one that failed.
func (m memory) worthwhile(now time.Time) bool {
	return !m.failed || now.Sub(m.last) >= Period
}

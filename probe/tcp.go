package probe

import (
	"context"
	"net"
	"strconv"
	"time"
)

// TCP succeeds when a connection can be made.
type TCP struct {
	// Host is a name or an address, IPv4 or IPv6 without brackets.
	Host string
	Port int
	// Timeout of the whole probe. Zero means 1 s.
	Timeout time.Duration
}

var _ Prober = TCP{}

// Probe connects and hangs up. A refusal or the timeout is a Failure.
func (t TCP) Probe(ctx context.Context) (Outcome, string, error) {
	d := Dialer()
	d.Timeout = orSecond(t.Timeout)
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(t.Host, strconv.Itoa(t.Port)))
	if err != nil {
		if over := ended(ctx); over != nil {
			return Unknown, "", over
		}
		return Failure, err.Error(), nil
	}
	_ = conn.Close() // it was open: that is the answer
	return Success, "", nil
}

// ended is why ctx is over, also in the moment between its deadline, which
// connections know, and its own end.
func ended(ctx context.Context) error {
	if at, ok := ctx.Deadline(); ok && !time.Now().Before(at) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

func orSecond(d time.Duration) time.Duration {
	if d <= 0 {
		return time.Second
	}
	return d
}

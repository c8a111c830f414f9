package probe

import "net"

// Dialer makes the connections of network probes, also for probers of other
// packages. They linger one second after the end, in which what was sent still
// arrives, and not the minute that the system keeps others; they live too short
// to be kept alive.
func Dialer() *net.Dialer { return &net.Dialer{Control: linger, KeepAlive: -1} }

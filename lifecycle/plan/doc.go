// Package plan decides what happens next with a pod.
//
// Next is a pure function: everything it knows is in Input, the time included,
// and everything it wants is in Plan. It reads no clock, does no I/O, starts no
// goroutine and has no state of its own. What it must know next time it hands
// back as Memory, a plain value that the caller keeps (and saves, so that a new
// agent goes on where the old one died).
//
// The caller, lifecycle's runner, does three things in a loop: it plans, it
// carries out Plan.Actions (actions with different keys side by side, never two
// with one key), and it plans again when something changed: an action ended, the
// runtime said that something happened, a probe's verdict changed, the pod was
// deleted, or WakeAt came. Planning twice with the same facts gives the same
// plan without its events: a pod at rest has no action and no event.
//
// Behaviour is that of the kubelet of Kubernetes 1.37, with its reasons,
// messages and constants, except that:
//
//   - a deletion cancels work in flight (pulls, hooks, a start) and does not
//     wait for it, and a shortened grace period shortens a stop that runs;
//   - CrashLoopBackOff and ImagePullBackOff are shown when they begin;
//   - delays have no jitter and end when they say;
//   - a terminal phase is decided when every exit code is known;
//   - a postStart hook that an agent's death interrupted is run again.
package plan

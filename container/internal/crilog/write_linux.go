package crilog

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

// attempt is one write, with its retries. Its fields are guarded by File.mu.
type attempt struct {
	f         *os.File
	abandoned bool // nobody waits for it any more
	finished  bool
	failed    bool
}

// Write appends buf, which holds n entries. It returns when they are written or
// given up. It tells whether buf may be used again: a write that hangs keeps it.
func (l *File) Write(buf []byte, n int) (reusable bool) {
	if l.path == "" {
		return true
	}
	l.mu.Lock()
	able, failing := l.f != nil && !l.stuck(), l.untold > 0
	l.mu.Unlock()
	if !able || failing && !l.tell() {
		l.drop(n, nil)
		return true
	}
	reusable, _ = l.try(buf, n, MaxWait)
	return reusable
}

// Probe writes the entry about lost ones if there are any and it can be done.
func (l *File) Probe() {
	l.mu.Lock()
	able := l.f != nil && !l.stuck() && l.untold > 0
	l.mu.Unlock()
	if able {
		l.tell()
	}
}

// tell writes the entry that tells how many were lost, without patience.
func (l *File) tell() bool {
	l.mu.Lock()
	n, cause := l.untold, l.cause
	l.mu.Unlock()
	if cause == nil {
		cause = fmt.Errorf("a write took more than %v", MaxWait)
	}
	text := fmt.Sprintf("lifepod: %d lines of output were dropped because the log could not be written: %v\n", n, cause)
	entry, _, _ := Format(nil, "stderr", time.Now(), []byte(text), false, len(text))
	if _, ok := l.try(entry, 0, 0); !ok {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.untold, l.cause = l.untold-n, nil
	return true
}

func (l *File) drop(n int, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped, l.untold = l.dropped+uint64(n), l.untold+uint64(n)
	if cause != nil {
		l.cause = cause
	}
}

// try writes buf, again and again for at most patience, and counts its n entries
// as lost if that fails. A write that hangs goes on alone: buf is its own then.
func (l *File) try(buf []byte, n int, patience time.Duration) (reusable, ok bool) {
	l.mu.Lock()
	a := &attempt{f: l.f}
	l.writing = a
	l.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		lost, err := n, os.ErrClosed
		if a.f != nil {
			lost, err = writeFor(a.f, buf, n, patience)
		}
		if err != nil {
			l.drop(lost, err)
		}
		l.finish(a, err)
	}()
	timer := time.NewTimer(MaxWait + 100*time.Millisecond)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a.abandoned = !a.finished
	return a.finished, a.finished && !a.failed
}

func (l *File) finish(a *attempt, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.finished, a.failed, a.abandoned = true, err != nil, false
	if l.writing == a {
		l.writing = nil
	}
	if l.f != a.f && a.f != nil {
		a.f.Close()
	}
}

// writeFor writes buf to f whole lines at a time, and returns how many of its n
// entries could not be written within patience.
func writeFor(f *os.File, buf []byte, n int, patience time.Duration) (lost int, err error) {
	for end := time.Now().Add(patience); ; {
		w, err := f.Write(buf)
		if err == nil {
			return 0, nil
		}
		w = keepWholeLines(f, buf[:w])
		n -= bytes.Count(buf[:w], []byte{'\n'})
		buf = buf[w:]
		if !time.Now().Before(end) {
			return max(n, 0), err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// keepWholeLines takes back what was written of an unfinished line.
func keepWholeLines(f *os.File, written []byte) int {
	whole := bytes.LastIndexByte(written, '\n') + 1
	if part := len(written) - whole; part > 0 {
		if fi, err := f.Stat(); err == nil {
			_ = f.Truncate(max(0, fi.Size()-int64(part)))
		}
	}
	return whole
}

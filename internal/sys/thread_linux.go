package sys

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// OnThread runs f on a locked thread, which is used again only if f says that it
// is as it was; else it ends. The main thread cannot end: it would stay in f's
// namespaces as long as the process lives, so it is held while another is used.
func OnThread(f func() (err error, restored bool)) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			err := OnThread(f)
			runtime.UnlockOSThread()
			done <- err
			return
		}
		err, restored := f()
		if restored {
			runtime.UnlockOSThread()
		} // else the thread ends with this goroutine
		done <- err
	}()
	return <-done
}

// OnOwnThread runs f on a locked thread that ends with it.
func OnOwnThread(f func() error) error {
	return OnThread(func() (error, bool) { return f(), false })
}

package sys

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// DirWatch waits for changes in directories, with one inotify instance for all
// of them. Its methods may be called from several goroutines, Wait from one.
type DirWatch struct{ events *os.File }

var longAgo = time.Unix(1, 0)

// WatchDirs watches the entries of dirs, not of what is below them: files
// written, made, moved in or removed.
func WatchDirs(dirs ...string) (*DirWatch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch directories: %w (fs.inotify.max_user_instances may be used up)", err)
	}
	w := &DirWatch{os.NewFile(uintptr(fd), "inotify")}
	for _, d := range dirs {
		if err := w.Add(d); err != nil {
			w.Close()
			return nil, err
		}
	}
	return w, nil
}

// Add watches another directory. Watching one twice is not an error; a removed
// directory is forgotten by itself.
func (w *DirWatch) Add(dir string) error {
	raw, err := w.events.SyscallConn()
	if err != nil {
		return err
	}
	const what = unix.IN_MODIFY | unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_DELETE | unix.IN_DELETE_SELF
	var werr error
	if err := raw.Control(func(fd uintptr) { _, werr = unix.InotifyAddWatch(int(fd), dir, what) }); err != nil {
		return err
	}
	if werr != nil {
		return fmt.Errorf("watch %s: %w", dir, werr)
	}
	return nil
}

// Wait returns when something changed since the last Wait, or ctx ended. What
// changed is not told: look.
func (w *DirWatch) Wait(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = w.events.SetReadDeadline(longAgo) })
	defer stop()
	var buf [4096]byte
	_, _ = w.events.Read(buf[:])
}

// Close ends the watch and a Wait. Close twice is nil.
func (w *DirWatch) Close() error {
	_ = w.events.Close()
	return nil
}

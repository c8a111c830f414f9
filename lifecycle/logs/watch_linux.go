package logs

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

var longAgo = time.Unix(1, 0)

// dirWatch waits for changes of the files in one directory.
type dirWatch struct{ events *os.File }

func watchDir(dir string) (*dirWatch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w (fs.inotify.max_user_instances may be used up)", dir, err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	const what = unix.IN_MODIFY | unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_DELETE_SELF
	if _, err := unix.InotifyAddWatch(fd, dir, what); err != nil {
		f.Close()
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	return &dirWatch{f}, nil
}

func (w *dirWatch) close() { w.events.Close() }

// wait returns when something changed or ctx ended.
func (w *dirWatch) wait(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = w.events.SetReadDeadline(longAgo) })
	defer stop()
	var buf [4096]byte
	_, _ = w.events.Read(buf[:])
}

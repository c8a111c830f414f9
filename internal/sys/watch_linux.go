package sys

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// DirWatch waits for changes in directories, with one inotify instance for all
// of them. Its methods may be called from several goroutines, Wait from one.
type DirWatch struct {
	events *os.File

	mu   sync.Mutex // held while a watch is added: its first event finds its name
	dirs map[int32]string
}

var longAgo = time.Unix(1, 0)

// WatchDirs watches the entries of dirs, not of what is below them: files
// written, made, moved in or removed.
func WatchDirs(dirs ...string) (*DirWatch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch directories: %w (fs.inotify.max_user_instances may be used up)", err)
	}
	w := &DirWatch{events: os.NewFile(uintptr(fd), "inotify"), dirs: map[int32]string{}}
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
	w.mu.Lock()
	defer w.mu.Unlock()
	const what = unix.IN_MODIFY | unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_DELETE | unix.IN_DELETE_SELF
	var wd int
	var werr error
	if err := raw.Control(func(fd uintptr) { wd, werr = unix.InotifyAddWatch(int(fd), dir, what) }); err != nil {
		return err
	}
	if werr != nil {
		return fmt.Errorf("watch %s: %w", dir, werr)
	}
	w.dirs[int32(wd)] = dir //nolint:gosec // the kernel's own number
	return nil
}

// Wait returns when something changed since the last Wait, with the paths of
// what changed, as Add was given their directories; one may be named more than
// once. None means that it is not known, or that ctx ended: look at everything.
func (w *DirWatch) Wait(ctx context.Context) []string {
	stop := context.AfterFunc(ctx, func() { _ = w.events.SetReadDeadline(longAgo) })
	defer stop()
	var buf [4096]byte
	n, err := w.events.Read(buf[:])
	if err != nil {
		return nil
	}
	return w.paths(buf[:n])
}

// paths reads what the kernel wrote: whole events.
func (w *DirWatch) paths(b []byte) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for len(b) >= unix.SizeofInotifyEvent {
		e := (*unix.InotifyEvent)(unsafe.Pointer(&b[0]))
		b = b[unix.SizeofInotifyEvent:]
		name := string(bytes.TrimRight(b[:e.Len], "\x00"))
		b = b[e.Len:]
		dir, known := w.dirs[e.Wd]
		if !known { // the queue ran over
			return nil
		}
		if e.Mask&unix.IN_IGNORED != 0 {
			delete(w.dirs, e.Wd)
		}
		out = append(out, filepath.Join(dir, name))
	}
	return out
}

// Close ends the watch and a Wait. Close twice is nil.
func (w *DirWatch) Close() error {
	_ = w.events.Close()
	return nil
}

package crilog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// MaxWait is how long a container waits for one write of its log.
const MaxWait = time.Second

// File is one container's log. A write that takes longer than [MaxWait], or
// fails for that long, makes it drop entries until writing works again; then
// one entry tells how many were lost. An empty path discards everything.
//
// Write and Probe are called by one goroutine at a time, the others by any.
type File struct {
	path string

	mu      sync.Mutex
	f       *os.File
	writing *attempt // the write under way
	dropped uint64
	untold  uint64 // of the dropped, those that no entry in the log tells of yet
	cause   error
}

// Open opens the log at path for appending, with its directory where that is
// missing. A last line that a killed writer left unfinished is cut off: its
// bytes are still in their FIFO.
func Open(path string) (*File, error) {
	l := &File{path: path}
	if path == "" {
		return l, nil
	}
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	if err := cutUnfinished(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("repair log %s: %w", path, err)
	}
	l.f = f
	return l, nil
}

// Kept is what a File goes on with in the program that replaces this one in its
// process.
type Kept struct {
	Path    string `json:"path,omitempty"`
	Fd      int    `json:"fd"` // -1 for none
	Dropped uint64 `json:"dropped,omitempty"`
	Untold  uint64 `json:"untold,omitempty"`
	Cause   string `json:"cause,omitempty"`
}

// Keep tells how the log stands, between two writes. It fails while a write
// hangs: the process cannot be replaced.
func (l *File) Keep() (Kept, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stuck() {
		return Kept{}, fmt.Errorf("a write to log %s hangs", l.path)
	}
	k := Kept{Path: l.path, Fd: -1, Dropped: l.dropped, Untold: l.untold}
	if l.f != nil {
		k.Fd = rawFd(l.f)
	}
	if l.cause != nil {
		k.Cause = l.cause.Error()
	}
	return k, nil
}

// Take goes on with the log that another program kept.
func Take(k Kept) *File {
	l := &File{path: k.Path, dropped: k.Dropped, untold: k.Untold}
	if k.Fd >= 0 {
		l.f = os.NewFile(uintptr(k.Fd), k.Path)
	}
	if k.Cause != "" {
		l.cause = errors.New(k.Cause)
	}
	return l
}

func open(path string) (*os.File, error) {
	const flags = os.O_RDWR | os.O_CREATE | os.O_APPEND | unix.O_NOFOLLOW
	f, err := os.OpenFile(path, flags, 0o640)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, fmt.Errorf("make the log's directory: %w", err)
		}
		f, err = os.OpenFile(path, flags, 0o640)
	}
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("open log %s: it is not a regular file", path)
	}
	return f, nil
}

// cutUnfinished truncates f after its last newline.
func cutUnfinished(f *os.File) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	buf := make([]byte, MaxLine+128)
	for end > 0 {
		n := min(end, int64(len(buf)))
		if _, err := f.ReadAt(buf[:n], end-n); err != nil {
			return err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			if cut := end - n + int64(i) + 1; cut < end {
				return f.Truncate(cut)
			}
			return nil
		}
		if end -= n; end == 0 {
			return f.Truncate(0)
		}
	}
	return nil
}

// Dropped counts the entries that were lost.
func (l *File) Dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// Failing tells whether entries are being dropped now.
func (l *File) Failing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stuck() || l.untold > 0
}

// Reopen goes on with the file that is at the log's path now.
func (l *File) Reopen() error {
	if l.path == "" {
		return nil
	}
	f, err := open(l.path)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.replace(f)
}

// Close closes the file. Closing twice is nil.
func (l *File) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.replace(nil)
}

// replace puts f in the place of the open file. A file that is being written is
// closed by its writer. l.mu is held.
func (l *File) replace(f *os.File) error {
	old := l.f
	l.f = f
	if w := l.writing; w != nil && w.f == old {
		if w.abandoned {
			l.writing = nil // what hangs there does not concern the new file
		}
		return nil
	}
	if old == nil {
		return nil
	}
	return old.Close()
}

// stuck tells that a write hangs. l.mu is held.
func (l *File) stuck() bool { return l.writing != nil && l.writing.abandoned }

package logs

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/lifepod/lifepod/internal/sys"
)

// Read yields the lines of a log file from its beginning to its end. A line
// that cannot be parsed is yielded as an error, and reading goes on.
func Read(path string) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Line{}, err)
			return
		}
		defer f.Close()
		(&reader{buf: bufio.NewReader(f)}).drain(yield)
	}
}

// Follow is Read that then waits for more. It goes on in a file that takes the
// place of the first (rotation), after the first one's last line. When ctx ends
// it yields what is there by then, and ends. The file need not exist yet; its
// directory must.
func Follow(ctx context.Context, path string) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		w, err := sys.WatchDirs(filepath.Dir(path))
		if err != nil {
			yield(Line{}, err)
			return
		}
		defer w.Close()
		follow(ctx, path, w, yield)
	}
}

func follow(ctx context.Context, path string, w *sys.DirWatch, yield func(Line, error) bool) {
	var f *os.File
	var r *reader
	defer func() {
		if f != nil {
			f.Close()
		}
	}()
	for {
		ended := ctx.Err() != nil
		next, err := replaced(f, path)
		if err != nil {
			yield(Line{}, err)
			return
		}
		// The old file is read to its end after the new one was seen: a writer
		// that had it open has then closed it.
		if r != nil && !r.drain(yield) {
			return
		}
		if next != nil {
			if f != nil {
				f.Close()
			}
			f, r = next, &reader{buf: bufio.NewReader(next)}
			continue
		}
		if ended {
			return
		}
		w.Wait(ctx)
	}
}

// replaced opens the file at path if it is another than f.
func replaced(f *os.File, path string) (*os.File, error) {
	next, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil || f == nil {
		return next, err
	}
	old, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, next.Close())
	}
	now, err := next.Stat()
	if err != nil || os.SameFile(old, now) {
		return nil, errors.Join(err, next.Close())
	}
	return next, nil
}

// maxLine bounds a line of the file; runtimes split longer output at 16 KiB.
const maxLine = 1 << 20

// reader splits a file that may still grow: a piece without its line's end is
// kept until the rest has come.
type reader struct {
	buf  *bufio.Reader
	part []byte
}

// drain yields all whole lines up to the present end; false means stop.
func (r *reader) drain(yield func(Line, error) bool) bool {
	for {
		piece, err := r.buf.ReadSlice('\n')
		r.part = append(r.part, piece...)
		switch {
		case err == nil:
			line, perr := Parse(r.part)
			if !yield(line, perr) {
				return false
			}
			r.part = r.part[:0]
		case errors.Is(err, bufio.ErrBufferFull) && len(r.part) < maxLine:
		case errors.Is(err, bufio.ErrBufferFull):
			r.part = r.part[:0]
		case errors.Is(err, io.EOF):
			return true
		default:
			return yield(Line{}, err)
		}
	}
}

package supervisor

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pagesAfter is how long nothing must have happened before pages are let go.
const pagesAfter = time.Second

// letPagesGoLater gives what is to be called after each piece of work. When no more
// comes for a while, the program's own pages are let go: nearly all of it runs in a
// start, and very little of it for days after that.
func letPagesGoLater() (worked func()) {
	t := time.AfterFunc(pagesAfter, letPagesGo)
	return func() { t.Reset(pagesAfter) }
}

// letPagesGo unmaps what is unchanged in a file, the program and its libraries. It
// stays in the page cache, from where it is mapped again as it is needed. Where that
// cannot be done, nothing is lost.
func letPagesGo() {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer f.Close()
	all, err := unchanged(f)
	if err != nil {
		return
	}
	for _, m := range all {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED)
	}
}

// mapping is a range of addresses.
type mapping struct{ from, to uintptr }

// unchanged finds in a text like /proc/self/smaps the mappings of files that cannot
// be written and have no page that is not the file's: what a dynamic linker has
// relocated there, or a debugger changed, would be lost.
func unchanged(smaps io.Reader) ([]mapping, error) {
	var all []mapping
	var m mapping
	file := false
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		line := lines.Bytes()
		// "00401000-0076f000 r-xp 00001000 fe:00 1234 /path", then lines of "Key: value".
		if key, value, _ := bytes.Cut(line, []byte(" ")); !bytes.HasSuffix(key, []byte(":")) {
			file = bytes.HasPrefix(value, []byte("r-")) && bytes.Contains(value, []byte(" /"))
			if !file {
				continue
			}
			if _, err := fmt.Sscanf(string(key), "%x-%x", &m.from, &m.to); err != nil {
				return nil, fmt.Errorf("parse smaps: %q: %w", line, err)
			}
		} else if file && string(key) == "Anonymous:" && string(bytes.TrimSpace(value)) == "0 kB" {
			all = append(all, m)
		}
	}
	return all, lines.Err()
}

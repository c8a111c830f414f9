package supervisor

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestUnchanged(t *testing.T) {
	const text = `00400000-00401000 r--p 00000000 fe:00 12                                 /bin/x y
Size:                  4 kB
Anonymous:             0 kB
VmFlags: rd mr mw me sd
00401000-00403000 r-xp 00001000 fe:00 12                                 /bin/x y
Anonymous:             4 kB
00403000-00404000 rw-p 00002000 fe:00 12                                 /bin/x y
Anonymous:             0 kB
00404000-00405000 r--p 00000000 00:00 0
Anonymous:             0 kB
7fff0000-7fff1000 r-xp 00000000 00:00 0                                  [vdso]
Anonymous:             0 kB
7fff2000-7fff4000 r-xp 00000000 fe:00 13                                 /lib/l.so
Anonymous:             0 kB
`
	got, err := unchanged(strings.NewReader(text))
	want := []mapping{{0x400000, 0x401000}, {0x7fff2000, 0x7fff4000}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("unchanged: %x, %v; want %x", got, err, want)
	}
	if _, err := unchanged(strings.NewReader("zz r-xp 0 fe:00 12 /x\n")); err == nil {
		t.Error("unchanged found no fault in an address")
	}
}

// Pages of a file leave memory and come back the same; one that was changed before
// it was protected stays.
func TestLetPagesGo(t *testing.T) {
	page := os.Getpagesize()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, bytes.Repeat([]byte{'f'}, 2*page), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mapped := func(change bool) []byte {
		b, err := unix.Mmap(int(f.Fd()), 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Munmap(b) })
		if change {
			b[0] = 'c'
		}
		if err := unix.Mprotect(b, unix.PROT_READ); err != nil {
			t.Fatal(err)
		}
		return b
	}
	plain, changed := mapped(false), mapped(true)
	if plain[0] != 'f' || plain[page] != 'f' || resident(t, plain) != 2 {
		t.Fatal("the file's two pages are not mapped after they were read")
	}
	letPagesGo()
	if n := resident(t, plain); n != 0 {
		t.Errorf("%d pages of the file are still mapped", n)
	}
	if plain[0] != 'f' || changed[0] != 'c' || changed[page] != 'f' {
		t.Errorf("read %c, and %c and %c of what was changed; want f, c, f", plain[0], changed[0], changed[page])
	}
}

// resident counts the pages of b that this process has mapped.
func resident(t *testing.T, b []byte) int {
	t.Helper()
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	first := int64(uintptr(unsafe.Pointer(&b[0]))) / int64(os.Getpagesize())
	entries := make([]byte, 8*len(b)/os.Getpagesize())
	if _, err := f.ReadAt(entries, 8*first); err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := 7; i < len(entries); i += 8 {
		n += int(entries[i] >> 7) // the bit "present"
	}
	return n
}

package sys

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// The flag is there once and stays, and other flags with it. Elsewhere it is nothing.
func TestSpread(t *testing.T) {
	dir := t.TempDir()
	flags := func() int {
		t.Helper()
		f, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		v, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
		if err != nil {
			v = 0
		}
		return v
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	before := flags()
	for range 2 {
		Spread(dir)
		want := before
		if fs.Type == unix.EXT4_SUPER_MAGIC {
			want |= 0x20000
		}
		if got := flags(); got != want {
			t.Errorf("flags %#x became %#x, want %#x", before, got, want)
		}
	}
	Spread("/dev/shm")
	Spread(dir + "/missing")
}

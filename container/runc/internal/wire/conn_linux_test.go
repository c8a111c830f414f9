package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func pair(t *testing.T) (a, b *Conn, raw *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = c.(*net.UnixConn)
	}
	a, b = NewConn(conns[0]), NewConn(conns[1])
	t.Cleanup(func() { a.Close(); b.Close(); a.Close() })
	return a, b, conns[0]
}

func TestDescriptorsTravel(t *testing.T) {
	a, b, _ := pair(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	big := make([]byte, 1<<20)
	go func() {
		_ = a.Send(&Message{ID: 7, Op: "one", Files: []*os.File{w}})
		_ = a.Send(&Message{ID: 8, Op: "two", Body: Body(big)})
		w.Close()
	}()
	m, err := b.Receive()
	if err != nil || m.ID != 7 || len(m.Files) != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err := m.Files[0].WriteString("hi"); err != nil {
		t.Fatal(err)
	}
	m.Files[0].Close()
	if m, err = b.Receive(); err != nil || m.ID != 8 || len(m.Body) < 1<<20 || m.Files != nil {
		t.Fatalf("%v, %v", m, err)
	}
	if got, err := io.ReadAll(r); string(got) != "hi" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if uid, err := b.PeerUID(); err != nil || uid != uint32(os.Getuid()) {
		t.Errorf("peer is %d, %v", uid, err)
	}
}

func TestBadFramesEndTheConnection(t *testing.T) {
	frame := func(files byte, body string) []byte {
		return append([]byte{0, 0, 0, byte(len(body)), files}, body...)
	}
	for name, b := range map[string][]byte{
		"too long":            {0xff, 0, 0, 0, 0},
		"no JSON":             frame(0, "garbage"),
		"no op":               frame(0, "{}"),
		"promised descriptor": frame(1, `{"op":"x"}`),
		"cut short":           frame(0, `{"op":"x"}`)[:9],
	} {
		a, c, raw := pair(t)
		if _, err := raw.Write(b); err != nil {
			t.Fatal(err)
		}
		a.Close()
		if m, err := c.Receive(); err == nil {
			t.Errorf("%s: received %+v", name, m)
		}
	}
}

// A frame that stalls ends the connection after its time, on either side.
func TestStalledFrames(t *testing.T) {
	a, b, _ := pair(t)
	a.timeout, b.timeout = time.Millisecond, time.Millisecond
	if err := a.Send(&Message{Op: "x", Body: Body(make([]byte, 2<<20))}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Send returned %v", err)
	}
	if _, err := b.Receive(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Receive returned %v", err)
	}
}

func TestFrameInParts(t *testing.T) {
	_, b, raw := pair(t)
	frame, err := encode(&Message{Op: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for _, part := range [][]byte{frame[:2], frame[2:9], frame[9:], frame} {
			_, _ = raw.Write(part)
			time.Sleep(5 * time.Millisecond) // it is read by itself
		}
	})
	for range 2 {
		if m, err := b.Receive(); err != nil || m.Op != "x" {
			t.Errorf("received %+v, %v", m, err)
		}
	}
}

func TestTooManyDescriptors(t *testing.T) {
	_, b, raw := pair(t)
	fds := make([]int, MaxFiles+1)
	for i := range fds {
		fds[i] = 2
	}
	before := openFDs(t)
	if _, _, err := raw.WriteMsgUnix([]byte{0, 0, 0, 10, 0}, unix.UnixRights(fds...), nil); err != nil {
		t.Fatal(err)
	}
	if m, err := b.Receive(); err == nil {
		t.Errorf("received %+v", m)
	}
	if after := openFDs(t); after > before {
		t.Errorf("%d descriptors stay open", after-before)
	}
}

func openFDs(t *testing.T) int {
	t.Helper()
	l, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(l)
}

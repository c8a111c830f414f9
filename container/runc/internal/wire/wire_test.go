package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/container"
)

func TestErrorsTravel(t *testing.T) {
	for _, target := range []error{container.ErrNotFound, container.ErrExists, container.ErrState} {
		sent := fmt.Errorf("start container x: %w", target)
		got := NewError(sent).Local()
		if !errors.Is(got, target) || got.Error() != sent.Error() {
			t.Errorf("%v arrives as %v", sent, got)
		}
	}
	var start *container.StartError
	got := NewError(fmt.Errorf("outer: %w", &container.StartError{ID: "a", Err: errors.New("no such file")})).Local()
	if !errors.As(got, &start) || start.ID != "a" || start.Err.Error() != "no such file" {
		t.Errorf("a StartError arrives as %v", got)
	}
	if NewError(nil) != nil || (*Error)(nil).Local() != nil {
		t.Error("no error becomes one")
	}
}

func TestLimits(t *testing.T) {
	if _, err := encode(&Message{Op: "x", Body: Body(strings.Repeat("a", MaxMessage))}); err == nil {
		t.Error("a message over the limit was encoded")
	}
	for _, h := range []struct {
		size  uint32
		files byte
	}{{0, 0}, {1, 0}, {MaxMessage + 1, 0}, {1 << 31, 0}, {10, MaxFiles + 1}, {10, 255}} {
		b := append(binary.BigEndian.AppendUint32(nil, h.size), h.files)
		if _, _, err := parseHeader(b); err == nil {
			t.Errorf("header %+v was accepted", h)
		}
	}
}

// What decodes can be encoded and decodes to the same.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":1,"op":"create","body":{"ID":"a","OCI":{"root":{"path":"/x"}}}}`))
	f.Add([]byte(`{"op":"done","err":{"kind":"start","id":"a","message":"m"}}`))
	f.Add([]byte(`{"op":"exec","body":{"args":["a"],"user":{"uid":4294967295}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		_ = m.Err.Local()
		frame, err := encode(m)
		if err != nil {
			t.Fatalf("%q decodes but does not encode: %v", b, err)
		}
		size, files, err := parseHeader(frame)
		if err != nil || size != len(frame)-headerSize || files != 0 {
			if len(frame) > MaxMessage {
				return
			}
			t.Fatalf("frame of %q: %d, %d, %v", b, size, files, err)
		}
		again, err := Decode(frame[headerSize:])
		if err != nil || again.Op != m.Op || again.ID != m.ID {
			t.Fatalf("%q becomes %+v, %v", b, again, err)
		}
	})
}

func Example() {
	fmt.Println(NewError(fmt.Errorf("container %q: %w", "web", container.ErrNotFound)).Local())
	// Output: container "web": container not found
}

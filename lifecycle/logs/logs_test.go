package logs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func entry(stream, tag, text string) string {
	return "2026-01-02T03:04:05.000000006Z " + stream + " " + tag + " " + text + "\n"
}

func write(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		entry("stdout", "F", "a b"):            "stdout false a b",
		entry("stderr", "P", ""):               "stderr true ",
		entry("stdout", "P:x", " lead"):        "stdout true  lead",
		"2026-01-02T03:04:05Z stdout F x":      "stdout false x",
		"2026-01-02T03:04:05.1Z stdout F:F x ": "stdout false x ",
	} {
		l, err := Parse([]byte(in))
		if got := fmt.Sprintf("%s %v %s", l.Stream, l.Partial, l.Text); err != nil || got != want {
			t.Errorf("Parse(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "x", "2026-01-02T03:04:05Z stdin F x", "yesterday stdout F x", "2026-01-02T03:04:05Z stdout F"} {
		if _, err := Parse([]byte(bad)); err == nil {
			t.Errorf("Parse(%q) gave no error", bad)
		}
	}
}

func TestTail(t *testing.T) {
	p := filepath.Join(t.TempDir(), "0.log")
	for i := range 1000 {
		write(t, p, entry("stdout", "F", fmt.Sprintf("line %d", i)))
	}
	got, err := Tail(p, 3, 100)
	if err != nil || got != "line 997\nline 998\nline 999\n" {
		t.Errorf("Tail = %q, %v", got, err)
	}
	if got, _ := Tail(p, 80, 12); got != "98\nline 999\n" {
		t.Errorf("Tail of 12 bytes = %q", got)
	}
	if all, _ := Tail(p, 5000, 1<<20); strings.Count(all, "\n") != 1000 {
		t.Errorf("Tail of all has %d lines", strings.Count(all, "\n"))
	}
}

func TestReadSkipsNothing(t *testing.T) {
	p := filepath.Join(t.TempDir(), "0.log")
	write(t, p, entry("stdout", "F", "a")+"garbage\n"+entry("stderr", "F", "b")+"2026-01-02T03:04:05Z stdout F unfinished")
	var got []string
	for l, err := range Read(p) {
		if err != nil {
			got = append(got, "error")
			continue
		}
		got = append(got, string(l.Text))
	}
	if s := strings.Join(got, " "); s != "a error b" {
		t.Errorf("read %q", s)
	}
}

func TestFollow(t *testing.T) {
	p := filepath.Join(t.TempDir(), "0.log")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	lines := make(chan string)
	go func() {
		defer close(lines)
		for l, err := range Follow(ctx, p) {
			if err != nil {
				t.Error(err)
			}
			lines <- string(l.Text)
		}
	}()
	expect := func(want string) {
		t.Helper()
		if got := <-lines; got != want {
			t.Fatalf("line %q, want %q", got, want)
		}
	}
	write(t, p, entry("stdout", "F", "one")+"2026-01-02T03:04:05Z stdout F tw")
	expect("one")
	write(t, p, "o\n")
	expect("two")
	if err := os.Rename(p, p+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, p+".1", entry("stdout", "F", "last of the old"))
	write(t, p, entry("stdout", "F", "first of the new"))
	expect("last of the old")
	expect("first of the new")
	cancel()
	if l, more := <-lines; more {
		t.Errorf("after the end: %q", l)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(entry("stdout", "F", "x")))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Parse(b)
		if err == nil && l.Stream != "stdout" && l.Stream != "stderr" {
			t.Errorf("%q: stream %q", b, l.Stream)
		}
	})
}

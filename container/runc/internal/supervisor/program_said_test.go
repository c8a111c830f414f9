//go:build linux && cgo

package supervisor

import (
	"errors"
	"strings"
	"testing"
)

// The words are those of runc 1.1 and crun 1.8.
func TestAboutProgram(t *testing.T) {
	for _, c := range []struct{ name, said, want string }{
		{"sh", `runc create failed: unable to start container process: exec: "sh": executable file not found in $PATH`, `exec: "sh": executable file not found in $PATH`},
		{"/x", `exec failed: unable to start container process: exec: "/x": stat /x: no such file or directory`, `exec: "/x": stat /x: no such file or directory`},
		{"sh", "executable file `sh` not found in $PATH: No such file or directory", `exec: "sh": executable file not found in $PATH`},
		{"/x", "executable file `/x` not found in $PATH: No such file or directory", `exec: "/x": no such file or directory`},
		{"/x", "open executable: Permission denied", `exec: "/x": permission denied`},
		{"/x", "exec /x: Exec format error", `exec: "/x": exec format error`},
		{"/x", "mount `/y` to `/x`: No such file or directory", ""},
		{"/x", "", ""},
	} {
		text, ok := aboutProgram(&runError{said: c.said}, c.name)
		if text != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %v, want %q", c.said, text, ok, c.want)
		}
	}
	if text, ok := aboutProgram(errors.New("exec /x: Exec format error"), "/x"); ok {
		t.Errorf("an error that is not the program's: %q", text)
	}
}

func TestLastError(t *testing.T) {
	for log, want := range map[string]string{
		"":                                     "",
		`{"level":"warning","msg":"a"}` + "\n": "",
		`{"level":"error","msg":"a"}` + "\n" + `{"level":"error","msg":"b"}` + "\n" + `{"level":"info","msg":"c"}` + "\n": "b",
		"not JSON\n" + `{"msg":"no end","level":"error"}`:                                                                 "no end",
	} {
		if got := lastError(strings.NewReader(log)); got != want {
			t.Errorf("%q: %q, want %q", log, got, want)
		}
	}
}

func FuzzRuntimeSaid(f *testing.F) {
	f.Add("/x", `{"msg":"executable file /x not found in $PATH: No such file or directory","level":"error"}`)
	f.Fuzz(func(t *testing.T, name, log string) {
		text, ok := aboutProgram(&runError{said: lastError(strings.NewReader(log))}, name)
		if ok && !strings.HasPrefix(text, "exec: ") || !ok && text != "" {
			t.Errorf("%q, %v", text, ok)
		}
	})
}

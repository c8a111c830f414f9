package container_test

import (
	"fmt"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container"
)

func ExampleSpec_Validate() {
	s := container.Spec{ID: "Web", OCI: &specs.Spec{
		Root:    &specs.Root{Path: "rootfs"},
		Process: &specs.Process{Args: []string{"/bin/web"}, Cwd: "/"},
		Linux:   &specs.Linux{CgroupsPath: "/pods/web"},
	}}
	fmt.Println(s.Validate())
	// Output:
	// invalid container "Web": id "Web" must be 1 to 64 of a-z, 0-9 and -
	// root.path must be an absolute path without . and ..
}

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		"a": true, "a-1": true, "0": true, "-": true, strings.Repeat("z", 64): true,
		"": false, "A": false, "a.b": false, "../a": false, "a/b": false, "a\x00": false, "ä": false, strings.Repeat("z", 65): false,
	} {
		if got := container.ValidID(id); got != want {
			t.Errorf("ValidID(%q) = %v", id, got)
		}
	}
}

func FuzzValidID(f *testing.F) {
	f.Add("a")
	f.Add("..")
	f.Fuzz(func(t *testing.T, id string) {
		if container.ValidID(id) && (strings.ContainsAny(id, "/.\x00") || id == "") {
			t.Errorf("%q is no safe name", id)
		}
	})
}

package boot

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestConfigTravels(t *testing.T) {
	c := Config{Root: "/r", Run: "/run/r", CgroupRoot: "/c", LogDirs: []string{"/l"}, Idle: time.Second}
	got, err := Parse(c.String())
	if err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, s := range []string{"", "{}", "1", `{"root":"r","run":"/r","cgroup":"/c","idle":1}`, `{"root":"/r","run":"/r","cgroup":"/c"}`} {
		if _, err := Parse(s); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
}

// A program without the hook is told what to do.
func TestNoHook(t *testing.T) {
	if err := Hook(); err == nil || !strings.Contains(err.Error(), "container/runc/reexec") {
		t.Errorf("without the hook: %v", err)
	}
}

func ExampleConfig() {
	c := Config{Run: "/run/lifepod"}
	fmt.Println(c.Socket(), c.Containers())
	// Output: /run/lifepod/supervisor.sock /run/lifepod/containers
}

package lifecycletest_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/lifecycletest"
)

// What a unit test of a controller looks like: a pod whose first run fails, and
// whose second one stays.
func TestExample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := lifecycletest.New(t, &lifecycletest.Runtime{Scripts: map[string]lifecycletest.Script{
			"app": {Runs: []lifecycletest.Run{{For: lifecycletest.Duration(time.Second), Exit: 3}, {}}},
		}})
		if err := n.Start(pod("job", corev1.Container{Name: "app"})); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		c := n.Last("job").ContainerStatuses[0]
		if c.RestartCount != 1 || c.State.Running == nil || c.LastTerminationState.Terminated.ExitCode != 3 {
			t.Errorf("container %+v", c)
		}
	})
}

// Scripts read and write JSON, so that they can stand in a pod's annotations.
func ExampleScript() {
	var s lifecycletest.Script
	err := json.Unmarshal([]byte(`{"runs":[{"for":"1s","exit":1},{"ignoreTERM":true}],"exec":{"ready":[{"exit":0}]}}`), &s)
	fmt.Println(time.Duration(s.Runs[0].For), s.Runs[1].IgnoreTERM, len(s.Exec["ready"]), err)
	// Output:
	// 1s true 1 <nil>
}

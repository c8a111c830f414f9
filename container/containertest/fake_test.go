package containertest_test

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/containertest"
)

func TestFake(t *testing.T) {
	containertest.Run(t, func(t *testing.T) containertest.Env {
		root := t.TempDir()
		return containertest.Env{
			Runtime: &containertest.Fake{
				Script:   containertest.Testbox,
				LookPath: containertest.LookTestbox,
				Check: func(s container.Spec) error {
					_, err := os.Stat(s.OCI.Root.Path)
					return err
				},
			},
			Dir: t.TempDir(),
			OCI: func(id string, args ...string) *specs.Spec { return containertest.OCI(root, "/test/"+id, args...) },
		}
	})
}

// An hour passes at once.
func TestFakeInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &containertest.Fake{Script: func(p *containertest.Process) int { p.Sleep(time.Hour); return 4 }}
		ctx := t.Context()
		if err := f.Create(ctx, container.Spec{ID: "a", OCI: containertest.OCI("/r", "/c", "prog")}); err != nil {
			t.Fatal(err)
		}
		if err := f.Start(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		st, err := f.State(ctx, "a")
		if err != nil || st.ExitCode != 4 || st.FinishedAt.Sub(st.StartedAt) != time.Hour {
			t.Errorf("%+v, %v", st, err)
		}
	})
}

func ExampleFake() {
	ctx := context.Background()
	var rt containertest.Fake
	spec := container.Spec{ID: "web", OCI: containertest.OCI("/rootfs", "/pod/web", "/bin/web")}
	fmt.Println(rt.Create(ctx, spec), rt.Start(ctx, "web"))
	fmt.Println(rt.Signal(ctx, "web", syscall.SIGTERM), rt.Starts("web"))
	for range 1000 {
		if st, _ := rt.State(ctx, "web"); st.Status == container.Stopped {
			fmt.Println(st.Status, st.ExitCode)
			break
		}
		time.Sleep(time.Millisecond)
	}
	// Output:
	// <nil> <nil>
	// <nil> 1
	// stopped 143
}

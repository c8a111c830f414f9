package local_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/lifecycle/local"
)

// Who lacks a capability is told so, by name, before anything is made.
func TestUnprivileged(t *testing.T) {
	testutil.RequireRoot(t)
	root := filepath.Join(t.TempDir(), "root")
	for capability, name := range map[int]string{unix.CAP_SYS_ADMIN: "CAP_SYS_ADMIN", unix.CAP_NET_ADMIN: "CAP_NET_ADMIN"} {
		err := sys.OnOwnThread(func() error {
			head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var have [2]unix.CapUserData
			if err := unix.Capget(&head, &have[0]); err != nil {
				t.Error(err)
			}
			have[0].Effective &^= 1 << capability
			if err := unix.Capset(&head, &have[0]); err != nil {
				t.Error(err)
			}
			n, err := local.Open(local.Options{Root: root})
			if err == nil {
				t.Error(n.Close())
			}
			return err
		})
		want := "open root " + root + ": this process lacks " + name + ": pods are namespaces, mounts and links; be root, in a container a privileged one"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	if _, err := os.Stat(root); err == nil {
		t.Error("it made the root")
	}
}

package local

import (
	"context"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/types"

	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/lifecycle"
)

// heed begins to listen to other processes: they write the end of a pod that this
// one drives into its pod.json, until ctx ends. Run and adopt add the pods'
// directories to n.watch.
func (n *Node) heed(ctx context.Context, runner *lifecycle.Runner) error {
	w, err := sys.WatchDirs()
	if err != nil {
		return err
	}
	n.watch = w
	n.wg.Go(func() {
		defer w.Close()
		for ctx.Err() == nil {
			n.sawChanges(runner, w.Wait(ctx))
		}
	})
	return nil
}

// sawChanges looks at the pods whose pod.json changed, at all if that is not known.
func (n *Node) sawChanges(runner *lifecycle.Runner, paths []string) {
	if len(paths) == 0 {
		for _, d := range n.allDriven() {
			n.sawDeletion(runner, d)
		}
	}
	for _, p := range paths {
		dir, name := filepath.Split(p)
		if d := n.driven(types.UID(filepath.Base(dir))); d != nil && name == "pod.json" {
			n.sawDeletion(runner, d)
		}
	}
}

// sawDeletion looks into a pod.json that is new since it last did.
func (n *Node) sawDeletion(runner *lifecycle.Runner, d *driven) {
	<-d.begun // the runner would not hear of it before
	fi, err := os.Stat(filepath.Join(n.podDir(d.pod.UID), "pod.json"))
	if err != nil || !d.ran || d.heard != nil && os.SameFile(fi, d.heard) && fi.ModTime().Equal(d.heard.ModTime()) {
		return
	}
	d.heard = fi
	rec, err := lifecycle.ReadRecord(n.podDir(d.pod.UID))
	if err != nil || rec.Deletion == nil {
		return
	}
	if err := runner.End(d.pod.UID, *rec.Deletion); err != nil {
		n.o.Log.Error(err, "delete pod", "uid", d.pod.UID)
	}
}

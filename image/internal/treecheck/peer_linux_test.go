package treecheck

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/internal/apart"
	"github.com/lifepod/lifepod/internal/containerd"
	"github.com/lifepod/lifepod/internal/testutil"
)

// module is the module's directory.
const module = "../../.."

// both is our store and a containerd that pull from one registry.
type both struct {
	registry *imagetest.Registry
	host     string
	store    *image.Store
	peer     *containerd.Daemon // nil once it was stopped
	peerDir  string
}

// registryName is the registry's name for containerd.
const registryName = "trees.lifepod.example"

// onBoth runs the test that calls it alone in namespaces of its own, with a
// containerd there that ends with it. Outside of them it returns nil; where the
// peer is not built the test is skipped.
func onBoth(t *testing.T) *both {
	t.Helper()
	testutil.RequireRoot(t)
	if testing.Short() {
		t.Skip("a daemon and hundreds of pulls: not with -short")
	}
	o, err := containerd.Find(module)
	if err != nil {
		missing(t, err)
	}
	if !apart.Inside() {
		again(t)
		return nil
	}
	if err := apart.Enter(containerd.Elsewhere); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{dir}})
	b := &both{registry: &imagetest.Registry{}}
	var stop func()
	if b.host, stop, err = b.registry.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	o.Dir, o.State = filepath.Join(dir, "peer"), "/run/peer"
	o.Mirrors = map[string]string{registryName: b.host}
	if err := os.Mkdir(o.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if b.peer, err = containerd.Start(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.stop(t) })
	if b.store, err = image.Open(filepath.Join(dir, "store"), image.Options{NoSync: true, Snapshotter: image.Overlay{}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// missing skips the test, or fails it where peers are demanded.
func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("LIFEPOD_PEER_TESTS") == "1" {
		t.Fatalf("LIFEPOD_PEER_TESTS=1, but %v", err)
	}
	t.Skip(err)
}

func again(t *testing.T) {
	t.Helper()
	cmd := apart.Command(t.Context(), "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=15m")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("in namespaces of its own: %v\n%s", err, out)
	}
	if testing.Verbose() {
		t.Logf("in namespaces of its own:\n%s", out)
	}
}

// stop ends containerd: its database is to be read only then.
func (b *both) stop(t *testing.T) {
	t.Helper()
	if b.peer == nil {
		return
	}
	if err := b.peer.Close(); err != nil {
		t.Error(err)
	}
	b.peerDir, b.peer = b.peer.Dir(), nil
}

// pull lets both pull an image; either error is of the one that could not.
func (b *both) pull(t *testing.T, name string, img imagetest.Image) (got image.Image, ours, theirs error) {
	t.Helper()
	if _, err := b.registry.Add(name+":1", img); err != nil {
		t.Fatal(err)
	}
	got, ours = b.store.Pull(t.Context(), b.host+"/"+name+":1", image.PullOptions{})
	_, theirs = b.peer.Images.PullImage(t.Context(), &runtimeapi.ImageSpec{Image: registryName + "/" + name + ":1"}, nil, nil)
	return got, ours, theirs
}

// ourLayers are the directories of an image's layers in our store, the lowest
// first.
func (b *both) ourLayers(img image.Image) []string {
	var dirs []string
	for _, c := range img.ChainIDs {
		dirs = append(dirs, filepath.Join(b.store.Root(), "snapshots", "layers", c.Encoded(), "fs"))
	}
	return dirs
}

// theirLayers finds those of all chain IDs in containerd's, which has ended.
func (b *both) theirLayers() (map[digest.Digest]string, error) {
	root := filepath.Join(b.peerDir, "root", "io.containerd.snapshotter.v1.overlayfs")
	db, err := bolt.Open(filepath.Join(root, "metadata.db"), 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	dirs := map[digest.Digest]string{}
	err = db.View(func(tx *bolt.Tx) error {
		all := tx.Bucket([]byte("v1")).Bucket([]byte("snapshots"))
		return all.ForEachBucket(func(k []byte) error {
			id, n := binary.Uvarint(all.Bucket(k).Get([]byte("id")))
			chain, err := digest.Parse(string(k[strings.LastIndexByte(string(k), '/')+1:]))
			if n > 0 && err == nil { // else one that is not committed
				dirs[chain] = filepath.Join(root, "snapshots", fmt.Sprint(id), "fs")
			}
			return nil
		})
	})
	return dirs, err
}

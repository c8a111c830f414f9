package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifepod/lifepod/image/pullrecord/disk"
	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/lifecycle"
	"github.com/lifepod/lifepod/store/memory"
	"github.com/lifepod/lifepod/store/typed"
)

// Node is one machine with its pods under one root. Its methods are safe for
// concurrent use, and several processes may have the same root open: each pod is
// driven by one of them at a time.
type Node struct {
	o    Options
	id   string
	name string

	blocks blocks
	client typed.Client
	node   lifecycle.Node
	events feed[corev1.Event] // of the node itself

	mu     sync.Mutex
	runner *lifecycle.Runner  // made when the first pod is driven
	watch  *sys.DirWatch      // of the driven pods' directories, made with the runner
	rest   context.CancelFunc // ends what was begun with the runner
	pods   map[types.UID]*driven
	closed bool
	wg     sync.WaitGroup
}

// ErrClosed is returned by a Node after Close.
var ErrClosed = errors.New("node is closed")

// Open opens a root and makes it if it is not there, and removes what processes
// left half made that died. It drives nothing: pods that are there go on as they
// are until [Node.Agent] or [Node.Stop].
func Open(o Options) (*Node, error) {
	if err := sys.Privileged(); o.CRI == nil && err != nil {
		return nil, fmt.Errorf("open root %s: %w: pods are namespaces, mounts and links; be root, in a container a privileged one",
			cmp.Or(o.Root, DefaultRoot), err)
	}
	id, err := o.complete()
	if err != nil {
		return nil, err
	}
	n := &Node{o: o, id: id, name: o.NodeName, pods: map[types.UID]*driven{}}
	if err := n.makeDirs(); err != nil {
		return nil, fmt.Errorf("open root %s: %w; choose a directory that you may write to", o.Root, err)
	}
	n.client = &typed.Server{Store: &memory.Store{}}
	if err := n.describeMachine(); err != nil {
		return nil, fmt.Errorf("open root %s: %w", o.Root, err)
	}
	if err := n.register(context.Background()); err != nil {
		return nil, fmt.Errorf("open root %s: %w", o.Root, err)
	}
	if err := n.blocks.open(n); err != nil {
		return nil, errors.Join(fmt.Errorf("open root %s: %w", o.Root, err), n.blocks.close())
	}
	n.sweep()
	return n, nil
}

// Close stops driving. Containers go on; who opens the root next and drives its
// pods finds all that happened meanwhile.
func (n *Node) Close() error {
	n.mu.Lock()
	runner := n.runner
	n.closed = true
	n.mu.Unlock()
	var err error
	if runner != nil {
		err = runner.Close()
		n.rest()
	}
	n.wg.Wait()
	n.events.close()
	n.mu.Lock()
	for _, d := range n.pods {
		d.release()
	}
	n.mu.Unlock()
	return errors.Join(err, n.blocks.close())
}

// drive returns the runner, and makes it the first time.
func (n *Node) drive() (*lifecycle.Runner, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, ErrClosed
	}
	if n.runner != nil {
		return n.runner, nil
	}
	records, err := disk.Open(n.o.Root, disk.Options{NoSync: n.o.Images.NoSync})
	if err != nil {
		return nil, err
	}
	o := lifecycle.Options{
		Pulls: n.o.Pulls, PullRecords: records, VerifyPulls: n.o.VerifyPulls,
		Runtime: n.blocks.runtime, Images: n.blocks.images, RuntimeName: n.blocks.name,
		Volumes: n.blocks.volumes, Objects: objects{n.client}, Credentials: n.o.Credentials, Cgroups: n.blocks.cgroups, Cgroup: n.blocks.cgroup, TierLinger: linger,
		Dir: n.podsDir(), LogDir: n.logsDir(), Node: n.node,
		OnStatus: n.onStatus, OnEvent: n.onEvent, Hooks: n.o.Hooks, Tracer: collector{n: n}, Log: n.o.Log,
	}
	runner, err := lifecycle.New(o)
	if err != nil {
		return nil, err
	}
	ctx, rest := context.WithCancel(context.Background())
	if err := n.heed(ctx, runner); err != nil {
		rest()
		return nil, errors.Join(err, runner.Close())
	}
	n.rest = rest
	if gc := n.blocks.gc; gc != nil {
		n.wg.Go(func() { gc.Run(ctx, runner.PrunePullRecords) })
	}
	n.runner = runner
	return runner, nil
}

func (n *Node) allDriven() []*driven {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Values(n.pods))
}

func (n *Node) podsDir() string { return filepath.Join(n.o.Root, "pods") }
func (n *Node) logsDir() string { return filepath.Join(n.o.Root, "log", "pods") }

// makeDirs makes the directories of which each pod gets one in each.
func (n *Node) makeDirs() error {
	sys.Spread(n.o.Root)
	if err := errors.Join(os.MkdirAll(n.podsDir(), 0o711), os.MkdirAll(n.logsDir(), 0o755)); err != nil {
		return err
	}
	sys.Spread(n.podsDir())
	sys.Spread(n.logsDir())
	return nil
}

func (n *Node) podDir(uid types.UID) string { return filepath.Join(n.podsDir(), string(uid)) }

// driven is what this process keeps of a pod that it drives.
type driven struct {
	pod      *corev1.Pod
	lock     *os.File
	keeping  sync.Mutex // held while the pod's objects are written
	statuses feed[corev1.PodStatus]
	events   feed[corev1.Event]
	timeline timeline
	toReady  *Span            // the way to Ready; nil for a pod that was adopted
	probing  map[string]*Span // by container

	begun chan struct{} // closed when the runner has it, or never will
	begin func()        // closes begun
	ran   bool          // when begun: the runner has it
	heard os.FileInfo   // of the pod.json that was last looked into for a deletion
	gone  chan struct{} // closed when nothing is left of it, or err says why not
	err   error
}

func newDriven() *driven {
	d := &driven{probing: map[string]*Span{}, begun: make(chan struct{}), gone: make(chan struct{})}
	d.begin = sync.OnceFunc(func() { close(d.begun) })
	return d
}

func (d *driven) release() {
	d.begin()
	d.statuses.close()
	d.events.close()
	if d.lock != nil {
		touch(d.lock)
		_ = d.lock.Close()
		d.lock = nil
	}
}

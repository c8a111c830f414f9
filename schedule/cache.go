package schedule

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifepod/lifepod/schedule/framework"
)

// Cache is what a scheduler knows of nodes and of the pods on them, assumed ones
// included. It is not safe for concurrent use; its snapshots are.
type Cache struct {
	nodes []*Node // by name
	given bool    // nodes is in a snapshot: copy before writing
	pods  map[types.UID]placed
	// waiting has pods on nodes that are not known, by node.
	waiting map[string]map[types.UID]*Pod
}

type placed struct {
	pod  *Pod
	node string
}

// NewCache returns an empty cache.
func NewCache() *Cache {
	return &Cache{pods: map[types.UID]placed{}, waiting: map[string]map[types.UID]*Pod{}}
}

// find returns where the node of that name is, or would be.
func (c *Cache) find(name string) (int, bool) {
	return slices.BinarySearchFunc(c.nodes, name, func(n *Node, name string) int { return strings.Compare(n.Name, name) })
}

// own makes nodes writable.
func (c *Cache) own() {
	if c.given {
		c.nodes, c.given = slices.Clone(c.nodes), false
	}
}

// Node returns the node of that name, or nil.
func (c *Cache) Node(name string) *Node {
	if i, ok := c.find(name); ok {
		return c.nodes[i]
	}
	return nil
}

// SetNode adds a node or replaces what is known of it.
func (c *Cache) SetNode(n *corev1.Node) {
	c.own()
	i, known := c.find(n.Name)
	if known {
		c.nodes[i] = framework.NewNode(n, c.nodes[i].Pods...)
		return
	}
	var pods []*Pod
	for _, uid := range slices.Sorted(maps.Keys(c.waiting[n.Name])) {
		pods = append(pods, c.waiting[n.Name][uid])
	}
	delete(c.waiting, n.Name)
	c.nodes = slices.Insert(c.nodes, i, framework.NewNode(n, pods...))
}

// DeleteNode forgets a node; its pods wait for it to come back.
func (c *Cache) DeleteNode(name string) {
	i, known := c.find(name)
	if !known {
		return
	}
	c.own()
	for _, p := range c.nodes[i].Pods {
		c.wait(name, p)
	}
	c.nodes = slices.Delete(c.nodes, i, i+1)
}

func (c *Cache) wait(node string, p *Pod) {
	if c.waiting[node] == nil {
		c.waiting[node] = map[types.UID]*Pod{}
	}
	c.waiting[node][p.UID] = p
}

// SetPod puts a pod on a node, or replaces it there.
func (c *Cache) SetPod(p *Pod, node string) {
	c.DeletePod(p.UID)
	c.pods[p.UID] = placed{p, node}
	if i, known := c.find(node); known {
		c.own()
		c.nodes[i] = c.nodes[i].With(p)
		return
	}
	c.wait(node, p)
}

// DeletePod takes a pod from its node, and reports whether it was there.
func (c *Cache) DeletePod(uid types.UID) bool {
	at, ok := c.pods[uid]
	if !ok {
		return false
	}
	delete(c.pods, uid)
	if i, known := c.find(at.node); known {
		c.own()
		c.nodes[i] = c.nodes[i].Without(uid)
	}
	delete(c.waiting[at.node], uid)
	return true
}

// Snapshot returns the nodes of now, by name.
func (c *Cache) Snapshot() Snapshot {
	c.given = true
	return Snapshot{Nodes: c.nodes}
}

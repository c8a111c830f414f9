package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifepod/lifepod/admission"
	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/store/typed"
	"github.com/lifepod/lifepod/store/typed/core"
)

// objects reads configMaps and secrets from the store.
type objects struct{ client typed.Client }

func (o objects) ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	return typed.Of[*corev1.ConfigMap]{Client: o.client, Resource: core.ConfigMap}.Get(ctx, namespace, name)
}

func (o objects) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	return typed.Of[*corev1.Secret]{Client: o.client, Resource: core.Secret}.Get(ctx, namespace, name)
}

// Apply admits configMaps and secrets and keeps them for pods of this process;
// one that is there is replaced.
func (n *Node) Apply(ctx context.Context, objs ...admission.Object) error {
	for _, o := range objs {
		if _, err := n.path().Create(ctx, o); err != nil {
			return fmt.Errorf("apply %s/%s: %w", o.GetNamespace(), o.GetName(), err)
		}
	}
	for _, d := range n.allDriven() { // the next agent is to know them too
		if err := n.keepObjectsOf(ctx, d); err != nil {
			return fmt.Errorf("keep the objects of pod %s/%s: %w", d.pod.Namespace, d.pod.Name, err)
		}
	}
	return nil
}

func (n *Node) keepObjectsOf(ctx context.Context, d *driven) error {
	d.keeping.Lock()
	defer d.keeping.Unlock()
	if n.driven(d.pod.UID) != d {
		return nil // nothing is left of it
	}
	return n.keepObjects(ctx, d.pod, true)
}

func (n *Node) put(ctx context.Context, r typed.Resource, obj typed.Object) (typed.Object, error) {
	out, err := n.client.Create(ctx, r, obj, createOptions)
	if !apierrors.IsAlreadyExists(err) {
		return out, err
	}
	obj.SetUID("")
	obj.SetResourceVersion("")
	return n.client.Update(ctx, r, obj, updateOptions)
}

func resourceOf(o admission.Object) (typed.Resource, error) {
	switch o.(type) {
	case *corev1.ConfigMap:
		return core.ConfigMap, nil
	case *corev1.Secret:
		return core.Secret, nil
	case *corev1.Pod:
		return core.Pod, nil
	}
	return typed.Resource{}, fmt.Errorf("%T: not a kind that this node keeps", o)
}

// needed is a pod's view of the objects that it refers to, kept with it so that
// another process can drive it. Secrets go to the run directory, in memory.
type needed struct {
	ConfigMaps []*corev1.ConfigMap `json:"configMaps,omitempty"`
	Secrets    []*corev1.Secret    `json:"secrets,omitempty"`
}

func (n *Node) objectFiles(uid types.UID) (maps, secrets string) {
	return filepath.Join(n.podDir(uid), "objects.json"), filepath.Join(n.o.Run, "objects", string(uid)+".json")
}

// keepObjects writes what the pod's namespace holds and the pod names. A new pod's
// are synced when it starts.
func (n *Node) keepObjects(ctx context.Context, p *corev1.Pod, sync bool) error {
	var have needed
	maps, secrets := references(p)
	src := objects{n.client}
	for _, name := range maps {
		if m, err := src.ConfigMap(ctx, p.Namespace, name); err == nil {
			have.ConfigMaps = append(have.ConfigMaps, m)
		}
	}
	for _, name := range secrets {
		if s, err := src.Secret(ctx, p.Namespace, name); err == nil {
			have.Secrets = append(have.Secrets, s)
		}
	}
	mapFile, secretFile := n.objectFiles(p.UID)
	if len(have.ConfigMaps) > 0 {
		if err := writeJSON(mapFile, needed{ConfigMaps: have.ConfigMaps}, sync); err != nil {
			return err
		}
	}
	if len(have.Secrets) == 0 {
		return nil
	}
	for {
		if err := os.MkdirAll(filepath.Dir(secretFile), 0o700); err != nil {
			return err
		}
		err := writeJSON(secretFile, needed{Secrets: have.Secrets}, false)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		} // the directory went with the last pod that had secrets
	}
}

func (n *Node) forgetSecrets(uid types.UID) error {
	_, secrets := n.objectFiles(uid)
	dir, name := filepath.Split(secrets)
	half, _ := filepath.Glob(dir + ".tmp-" + name + "-*") // of a process that was killed
	for _, f := range append(half, secrets) {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	_ = os.Remove(dir) // the last pod's
	return nil
}

// loadObjects puts a pod's objects back into the store of this process. One that
// is there already is newer.
func (n *Node) loadObjects(ctx context.Context, uid types.UID) error {
	mapFile, secretFile := n.objectFiles(uid)
	for _, file := range []string{mapFile, secretFile} {
		var have needed
		if err := readJSON(file, &have); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		for _, m := range have.ConfigMaps {
			if err := n.restore(ctx, core.ConfigMap, m); err != nil {
				return err
			}
		}
		for _, s := range have.Secrets {
			if err := n.restore(ctx, core.Secret, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *Node) restore(ctx context.Context, r typed.Resource, obj typed.Object) error {
	obj.SetResourceVersion("")
	_, err := n.client.Create(ctx, r, obj, createOptions)
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func writeJSON(path string, v any, sync bool) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return sys.WriteFile(path, b, 0o600, sync)
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

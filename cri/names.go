package cri

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// names gives each name to one id at a time, among all processes: a name is a
// symbolic link to its id.
type names struct {
	dir string
	// alive says whether the owner of a name still exists.
	alive func(id string) bool
}

func sandboxName(m *runtimeapi.PodSandboxMetadata) string {
	return strings.Join([]string{m.GetName(), m.GetNamespace(), m.GetUid(), fmt.Sprint(m.GetAttempt())}, "_")
}

func containerName(c *runtimeapi.ContainerMetadata, s *runtimeapi.PodSandboxMetadata) string {
	return strings.Join([]string{c.GetName(), s.GetName(), s.GetNamespace(), s.GetUid(), fmt.Sprint(c.GetAttempt())}, "_")
}

func (n *names) path(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(n.dir, hex.EncodeToString(sum[:]))
}

// reserve gives name to id, or fails with AlreadyExists. The directory of id
// must exist already: a name whose owner has none is free.
func (n *names) reserve(name, id string) error {
	path := n.path(name)
	for {
		err := effectReserve.Do(func() error { return os.Symlink(id, path) })
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		owner, err := os.Readlink(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if n.alive(owner) {
			return errorf(codes.AlreadyExists, "name %q is reserved for %q", name, owner)
		}
		if err := n.release(name, owner); err != nil {
			return err
		}
	}
}

// owner is the id that has name, "" if none has.
func (n *names) owner(name string) string {
	id, _ := os.Readlink(n.path(name))
	return id
}

// release frees name if it is id's.
func (n *names) release(name, id string) error {
	path := n.path(name)
	if owner, err := os.Readlink(path); err != nil || owner != id {
		return nil //nolint:nilerr // an absent one is the answer
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

package cri

import (
	"encoding/json"
	"fmt"

	"github.com/lifepod/lifepod/cri/ocispec"
	"github.com/lifepod/lifepod/netns"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// phase is how far a sandbox or container has come.
type phase string

const (
	making  phase = "making" // its maker holds the lock of its directory, or is dead
	ready   phase = "ready"
	leaving phase = "leaving" // containers that are being removed, or whose remover is dead
	stopped phase = "stopped" // sandboxes only
)

// sandbox is the record of one pod sandbox. Records are values: they are
// changed by writing a copy.
type sandbox struct {
	ID, Name, Boot, Handler string
	Phase                   phase
	CreatedAt               int64
	// Cgroup is the parent of the containers' cgroups; OwnCgroup says that it was
	// made here.
	Cgroup    string
	OwnCgroup bool
	// Holder says that a process holds the pod's PID namespace.
	Holder bool
	// Net is what the network answered.
	Net netns.Result

	Config    *runtimeapi.PodSandboxConfig        `json:"-"`
	Overhead  *runtimeapi.LinuxContainerResources `json:"-"`
	Resources *runtimeapi.LinuxContainerResources `json:"-"`
	Messages  [][]byte                            // the three above
}

// ctr is the record of one container.
type ctr struct {
	ID, Sandbox, Name, Boot, Handler string
	Phase                            phase
	CreatedAt                        int64
	ImageID, ImageName               string
	Log, Cgroup                      string
	StopSignal                       string // a name as the image or the message gives it
	User                             ocispec.User
	// Volumes are the anonymous volumes' directories below Root.
	Volumes []ocispec.Volume
	// StartError is why the program could not be executed.
	StartError string

	Config    *runtimeapi.ContainerConfig         `json:"-"`
	Resources *runtimeapi.LinuxContainerResources `json:"-"`
	Messages  [][]byte
}

// record is what a table keeps.
type record interface {
	*sandbox | *ctr
	id() string
	// messages are the protocol's, which JSON cannot carry.
	messages() []proto.Message
	raw() *[][]byte
}

func (s *sandbox) id() string     { return s.ID }
func (s *sandbox) raw() *[][]byte { return &s.Messages }
func (s *sandbox) messages() []proto.Message {
	return []proto.Message{need(&s.Config), need(&s.Overhead), need(&s.Resources)}
}

func (c *ctr) id() string                { return c.ID }
func (c *ctr) raw() *[][]byte            { return &c.Messages }
func (c *ctr) messages() []proto.Message { return []proto.Message{need(&c.Config), need(&c.Resources)} }

func need[T any](p **T) *T {
	if *p == nil {
		*p = new(T)
	}
	return *p
}

func encode[R record](r R) ([]byte, error) {
	ms := r.messages()
	raw := make([][]byte, len(ms))
	for i, m := range ms {
		var err error
		if raw[i], err = proto.Marshal(m); err != nil {
			return nil, err
		}
	}
	*r.raw() = raw
	return json.Marshal(r)
}

func decode[R record](b []byte, r R) error {
	if err := json.Unmarshal(b, r); err != nil {
		return err
	}
	ms := r.messages()
	if len(*r.raw()) != len(ms) {
		return fmt.Errorf("record of %s: %d messages, want %d", r.id(), len(*r.raw()), len(ms))
	}
	for i, m := range ms {
		if err := proto.Unmarshal((*r.raw())[i], m); err != nil {
			return fmt.Errorf("record of %s: %w", r.id(), err)
		}
	}
	return nil
}

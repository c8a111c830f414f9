package cri

import (
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Verdict is what happens to a CRI field that is set.
type Verdict string

// The verdicts.
const (
	// Honoured fields have their effect.
	Honoured Verdict = "honoured"
	// Limited fields are honoured for some values and refused for others.
	Limited Verdict = "limited"
	// Kept fields are returned in status and lists, and change nothing else.
	Kept Verdict = "kept"
	// Moot fields speak of something that does not exist here.
	Moot Verdict = "moot"
	// Refused fields are an InvalidArgument error.
	Refused Verdict = "refused"
)

// Field is one field of a CRI message. Where a message is refused as a whole,
// its fields are not listed.
type Field struct {
	// Message is PodSandboxConfig or ContainerConfig; Path has the names of the
	// protocol, with dots.
	Message, Path string
	Verdict       Verdict
	// Why is the reason of all but Honoured and Kept.
	Why string
}

// Fields is every field of PodSandboxConfig and ContainerConfig.
func Fields() []Field {
	return append(list("PodSandboxConfig", sandboxFields), list("ContainerConfig", containerFields)...)
}

type rule struct {
	path    string
	verdict Verdict
	why     string
}

func list(message string, rules []rule) []Field {
	var out []Field
	for _, r := range rules {
		out = append(out, Field{message, r.path, r.verdict, r.why})
	}
	return out
}

// The tables are built when they are first needed, not when a program starts.
var (
	sandboxRules   = sync.OnceValue(func() map[string]rule { return byPath(sandboxFields) })
	containerRules = sync.OnceValue(func() map[string]rule { return byPath(containerFields) })
)

func byPath(rules []rule) map[string]rule {
	m := make(map[string]rule, len(rules))
	for _, r := range rules {
		m[r.path] = r
	}
	return m
}

// refuse returns an error for the first field of m that is set and refused, or
// that the table does not know: a newer caller's.
func refuse(m proto.Message, rules map[string]rule) error {
	if m == nil || !m.ProtoReflect().IsValid() {
		return nil
	}
	return walk(m.ProtoReflect(), rules, "", "")
}

// walk checks the fields of m. path is where m stands in the table, at the same
// with indexes.
func walk(m protoreflect.Message, rules map[string]rule, path, at string) error {
	if n := len(m.GetUnknown()); n > 0 {
		return fieldError(at+"(unknown)", fmt.Sprintf("%d bytes of fields that this version does not know", n))
	}
	var err error
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := string(fd.Name())
		r, known := rules[path+name]
		switch {
		case !known:
			err = fieldError(at+name, "is not known to this version")
		case r.verdict == Refused && !empty(fd, v):
			err = fieldError(at+name, r.why)
		case r.verdict == Refused || fd.IsMap() || fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				if err = walk(v.List().Get(i).Message(), rules, path+name+".", fmt.Sprintf("%s%s[%d].", at, name, i)); err != nil {
					break
				}
			}
		default:
			err = walk(v.Message(), rules, path+name+".", at+name+".")
		}
		return err == nil
	})
	return err
}

// empty says that a message is there and says nothing.
func empty(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	if fd.IsList() || fd.IsMap() || fd.Message() == nil {
		return false
	}
	n := 0
	v.Message().Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool { n++; return false })
	return n == 0
}

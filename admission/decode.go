package admission

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// MaxDocument is the size in bytes that one document may have, as in the API.
const MaxDocument = 3 << 20

// DecodeError says which document of a file is wrong, and how.
type DecodeError struct {
	// Document counts from 1, Line is where it begins, from 1; 0 for JSON.
	Document, Line int
	// Kind and Name are what the document says it is, as far as it could be read.
	Kind, Name string
	Err        error
}

func (e *DecodeError) Error() string {
	where := fmt.Sprintf("document %d", e.Document)
	if e.Line > 0 {
		where += fmt.Sprintf(" (line %d)", e.Line)
	}
	if e.Kind != "" {
		where += fmt.Sprintf(", %s %q", e.Kind, e.Name)
	}
	return where + ": " + e.Err.Error()
}

func (e *DecodeError) Unwrap() error { return e.Err }

// Reason is BadRequest, as the API would answer.
func (e *DecodeError) Reason() string { return "BadRequest" }

// Decode reads all objects of a manifest: YAML or JSON, any number of documents,
// v1 Lists opened. It is strict: unknown fields, repeated keys, wrong types and
// unknown kinds are errors, all that are found in one document in one error, and
// then no object is returned at all. Nothing is defaulted. A manifest without any
// document is an error. only names the kinds that are taken; none means all that
// are known. Errors are *DecodeError.
func Decode(manifest []byte, only ...string) ([]Object, error) {
	docs, err := split(manifest)
	if err != nil {
		return nil, err
	}
	var out []Object
	for i, doc := range docs {
		objs, id, err := decodeDocument(doc.data, only)
		if err != nil {
			return nil, &DecodeError{Document: i + 1, Line: doc.line, Kind: id.Kind, Name: id.Metadata.Name, Err: err}
		}
		out = append(out, objs...)
	}
	if len(out) == 0 {
		return nil, &DecodeError{Document: 1, Err: errors.New("the manifest holds no object: one with apiVersion and kind is wanted")}
	}
	return out, nil
}

type document struct {
	line int
	data []byte
}

// split cuts a manifest into documents: at lines that begin with ---, or JSON
// value by JSON value. Empty and comment-only documents are left out.
func split(manifest []byte) ([]document, error) {
	if trimmed := bytes.TrimLeft(manifest, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		if docs, ok := splitJSON(trimmed); ok {
			return docs, nil
		}
	}
	var docs []document
	current, line := document{line: 1}, 0
	add := func() {
		if !blank(current.data) {
			docs = append(docs, current)
		}
	}
	in := bufio.NewReader(bytes.NewReader(manifest))
	for {
		text, err := in.ReadBytes('\n')
		line++
		if isSeparator(text) {
			add()
			current = document{line: line + 1}
			text = bytes.TrimPrefix(text, []byte("---"))
			if !blank(text) {
				current.line = line
			}
		}
		current.data = append(current.data, text...)
		if errors.Is(err, io.EOF) {
			add()
			return docs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
	}
}

func isSeparator(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	return ok && (len(rest) == 0 || strings.ContainsRune(" \t\r\n", rune(rest[0])))
}

// splitJSON cuts at the end of each JSON value; false where it is not all JSON.
func splitJSON(data []byte) ([]document, bool) {
	var docs []document
	dec := json.NewDecoder(bytes.NewReader(data))
	for {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return docs, true
		}
		if err != nil {
			return nil, false
		}
		docs = append(docs, document{data: raw})
	}
}

func blank(data []byte) bool {
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && !bytes.Equal(line, []byte("...")) {
			return false
		}
	}
	return true
}

// identity is what a document says it is.
type identity struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

func decodeDocument(data []byte, only []string) ([]Object, identity, error) {
	var id identity
	if len(data) > MaxDocument {
		return nil, id, fmt.Errorf("it has %d bytes, the limit is %d", len(data), MaxDocument)
	}
	data, strict, err := toJSON(data)
	if err != nil {
		return nil, id, err
	}
	if err := json.Unmarshal(data, &id); err != nil && id.Kind == "" {
		return nil, id, unidentified(err)
	}
	gv, err := schema.ParseGroupVersion(id.APIVersion)
	switch {
	case err != nil:
		return nil, id, err
	case id.Kind == "":
		return nil, id, errors.New("Object 'Kind' is missing")
	case id.APIVersion == "":
		return nil, id, errors.New("Object 'apiVersion' is missing")
	case id.Kind == "List" && id.APIVersion == "v1":
		objs, err := decodeList(id, only)
		return objs, id, err
	}
	k, err := kindNamed(gv.WithKind(id.Kind), only)
	if err != nil {
		return nil, id, err
	}
	obj, err := decodeInto(k, data, strict)
	if err != nil {
		return nil, id, err
	}
	return []Object{obj}, id, nil
}

// unidentified says in the manifest's words why a document has no identity.
func unidentified(err error) error {
	var wrong *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &wrong):
		return err
	case wrong.Field == "":
		return fmt.Errorf("it is of type %s: an object with apiVersion and kind is wanted", wrong.Value)
	}
	return fmt.Errorf("%s is of type %s: a %s is wanted", wrong.Field, wrong.Value, wrong.Type)
}

func decodeList(id identity, only []string) ([]Object, error) {
	var out []Object
	for i, raw := range id.Items {
		objs, _, err := decodeDocument(raw, only)
		if err != nil {
			return nil, fmt.Errorf("items[%d]: %w", i, err)
		}
		out = append(out, objs...)
	}
	return out, nil
}

// toJSON turns YAML into JSON; strict holds keys that occur twice.
func toJSON(data []byte) (out []byte, strict []error, err error) {
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(data) {
		return data, nil, nil // JSON's own repeated keys are found later
	}
	out, err = yaml.YAMLToJSON(data)
	if err != nil {
		return nil, nil, err
	}
	if _, err := yaml.YAMLToJSONStrict(data); err != nil {
		strict = append(strict, err)
	}
	return out, strict, nil
}

func decodeInto(k kind, data []byte, strict []error) (obj Object, err error) {
	obj = k.empty()
	more, err := kjson.UnmarshalStrict(data, obj)
	if err == nil && len(strict)+len(more) > 0 {
		err = runtime.NewStrictDecodingError(append(strict, more...))
	}
	if err != nil {
		return nil, fmt.Errorf("%s in version %q cannot be handled as a %s: %w", k.gvk.Kind, k.gvk.Version, k.gvk.Kind, err)
	}
	return obj, nil
}

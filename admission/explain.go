package admission

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
)

// Phase is where in the path a Step was.
type Phase string

// The phases of a request, in their order.
const (
	Defaulting Phase = "default"
	Mutating   Phase = "mutate"
	Preparing  Phase = "prepare"
	Validating Phase = "validate"
	Storing    Phase = "store"
)

// Step is what one plugin, or one built-in part, did to a request.
type Step struct {
	Plugin string
	Phase  Phase
	// Changes lists what changed, if the Path explains.
	Changes []Change
	// Err is why it refused.
	Err error
}

// Change is one field that a step changed; From or To is nil where the field was
// or is absent.
type Change struct {
	Path     string
	From, To any
}

func (c Change) String() string {
	return fmt.Sprintf("%s: %v → %v", c.Path, show(c.From), show(c.To))
}

// show writes a value as it stands in a manifest, strings without their quotes.
func show(v any) string {
	if v == nil {
		return "none"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%+v", v)
	}
	var text string
	if json.Unmarshal(b, &text) == nil {
		return text
	}
	return string(b)
}

// Diff lists the fields in which two objects of one type differ, by their JSON
// names.
func Diff(before, after any) []Change {
	var out []Change
	diff("", reflect.ValueOf(before), reflect.ValueOf(after), &out)
	return out
}

func diff(path string, a, b reflect.Value, out *[]Change) {
	if equality.Semantic.DeepEqual(a.Interface(), b.Interface()) {
		return
	}
	switch {
	case a.Kind() == reflect.Pointer && !a.IsNil() && !b.IsNil():
		diff(path, a.Elem(), b.Elem(), out)
	case a.Kind() == reflect.Struct && a.NumField() > 0 && a.Type().Field(0).IsExported():
		for i := range a.NumField() {
			if f := a.Type().Field(i); f.IsExported() {
				diff(join(path, f), a.Field(i), b.Field(i), out)
			}
		}
	case a.Kind() == reflect.Slice && a.Len() == b.Len():
		for i := range a.Len() {
			diff(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i), out)
		}
	case a.Kind() == reflect.Map:
		diffMap(path, a, b, out)
	default:
		*out = append(*out, Change{Path: path, From: value(a), To: value(b)})
	}
}

func diffMap(path string, a, b reflect.Value, out *[]Change) {
	for _, m := range []reflect.Value{a, b} {
		for _, k := range m.MapKeys() {
			at := fmt.Sprintf("%s[%v]", path, k)
			x, y := a.MapIndex(k), b.MapIndex(k)
			switch {
			case x.IsValid() && y.IsValid() && m == a:
				diff(at, x, y, out)
			case !y.IsValid():
				*out = append(*out, Change{Path: at, From: value(x)})
			case !x.IsValid():
				*out = append(*out, Change{Path: at, To: value(y)})
			}
		}
	}
}

// join appends a field's JSON name; embedded structs have none.
func join(path string, f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	switch {
	case name == "":
		return path
	case path == "":
		return name
	}
	return path + "." + name
}

// value is what a field holds, nil for one that is absent. What a pointer leads to
// is there, though it be zero.
func value(v reflect.Value) any {
	if v.IsZero() {
		return nil
	}
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return v.Interface()
}

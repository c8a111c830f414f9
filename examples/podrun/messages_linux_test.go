package main_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// Each message names the thing, says what is wrong with it, and what to do.
func TestMessages(t *testing.T) {
	s := open(t)
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: main, image: x}]}\n"
	file := func(name, text string) string { return s.file(t, name, text) }
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"run", 2, "podrun run: it takes FILE, and got []"},
		{"run a b", 2, `podrun run: it takes FILE, and got ["a" "b"]`},
		{"agent web", 2, `podrun agent: it takes no argument, and got ["web"]`},
		{"exec web", 2, `podrun exec: it takes POD -- COMMAND, and got ["web"]`},
		{"stop web --grace=-3s", 2, "it is a duration such as 5s or 1m, 0s to kill"},
		{"ps --output yaml", 2, "it is json"},
		{"logs web", 1, `pods "web" not found under the root ` + s.root + ": podrun ps lists its pods, --root names another"},
		{"run " + s.dir + "/none.yaml", 1, s.dir + "/none.yaml: no such file or directory; podrun run takes a file of YAML or JSON"},
		{"run " + s.dir, 1, s.dir + ": is a directory; podrun run takes a file of YAML or JSON"},
		{"run /dev/zero", 1, "/dev/zero: it has more than 67108864 bytes, the limit of a manifest; run its pods from several files"},
		{"run " + file("bad.yaml", "kind: Pod\n a: [\n"), 1, "/bad.yaml: document 1 (line 1): yaml: line 2: "},
		{"run " + file("empty.yaml", "# nothing\n"), 1, "/empty.yaml: document 1: the manifest holds no object: one with apiVersion and kind is wanted"},
		{"run " + file("unknown.yaml", strings.Replace(pod, "image:", "imagee:", 1)), 1, `/unknown.yaml: document 1 (line 1), Pod "web": Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.containers[0].imagee"`},
		{"run " + file("type.yaml", strings.Replace(pod, "image: x", "image: [x]", 1)), 1, "json: cannot unmarshal array into Go struct field Container.spec.containers.image of type string"},
		{"run " + file("two.yaml", pod+"---\n"+strings.Replace(pod, "spec:", "spc:", 1)), 1, `/two.yaml: document 2 (line 6), Pod "web": `},
		{"run " + file("deployment.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"), 1, `/deployment.yaml: document 1 (line 1), Deployment "web": no kind "Deployment" is registered for version "apps/v1"; use one of ConfigMap, Pod, Secret of v1`},
		{"run " + file("list.yaml", "- a\n"), 1, "/list.yaml: document 1 (line 1): it is of type array: an object with apiVersion and kind is wanted"},
		{"run " + file("service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"), 1, `/service.yaml: document 1 (line 1), Service "web": kind "Service" is not taken here; use one of ConfigMap, Pod, Secret of v1`},
		{"run " + file("map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n"), 1, "/map.yaml: it holds no pod to run; add a document of kind Pod"},
		{"run " + file("invalid.yaml", strings.Replace(pod, "name: web", "name: Web", 1)), 1, `/invalid.yaml: Pod "Web" is invalid: metadata.name: Invalid value: "Web": `},
	} {
		args := strings.Fields(c.args)
		code, out, errs := s.do(t, args[0], args[1:]...)
		if code != c.code || out != "" || !strings.Contains(errs, c.want) {
			t.Errorf("podrun %s: ended with %d, %q and\n%s\nwant %d and\n%s", c.args, code, out, errs, c.code, c.want)
		}
	}
	elsewhere := *s
	elsewhere.root = s.dir + "/nowhere"
	code, _, errs := elsewhere.do(t, "ps")
	if want := "no pod was run under this root: stat " + elsewhere.root + ": no such file or directory; --root names another"; code != 1 || !strings.Contains(errs, want) {
		t.Errorf("ps of a root that is not there: %d %s", code, errs)
	}
	if _, err := os.Stat(elsewhere.root); err == nil {
		t.Error("ps made the root that it was to look into")
	}
}

// Who is not root is told what to type.
func TestNotRoot(t *testing.T) {
	s := open(t)
	defer os.Remove(s.run) // as no supervisor will
	cmd := s.command(t, "ps")
	program, err := os.Open(cmd.Path) // which others cannot reach
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	cmd.Path, cmd.ExtraFiles = "/proc/self/fd/3", []*os.File{program}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	code, out, errs := result(t, cmd)
	if want := "podrun: it makes namespaces, mounts and cgroups, and so needs root: try sudo podrun ps\n"; code != 1 || out != "" || errs != want {
		t.Errorf("it ended with %d, %q, %q; want %q", code, out, errs, want)
	}
}

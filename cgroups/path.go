package cgroups

import (
	"fmt"
	"path"
	"strings"
)

// CheckPath returns an error unless p names a cgroup inside root: absolute, clean
// and not "/" itself. A root of "" or "/" allows all others.
func CheckPath(root, p string) error {
	switch {
	case !strings.HasPrefix(p, "/") || path.Clean(p) != p || strings.ContainsAny(p, "\x00\n"):
		return fmt.Errorf("cgroup path %q is not absolute and clean", p)
	case p == "/":
		return fmt.Errorf("cgroup path %q is the root of all, which is not ours", p)
	case root != "" && root != "/" && p != root && !strings.HasPrefix(p, root+"/"):
		return fmt.Errorf("cgroup path %q is not in %s", p, root)
	}
	return nil
}

// checkRoot returns the root to keep to.
func checkRoot(root string) (string, error) {
	if root == "" || root == "/" {
		return "/", nil
	}
	return root, CheckPath("/", root)
}

package atomicwriter

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Tree lists what lies in dir, sorted, one line each: mode and path of files and
// directories, "link name -> target" of links; the directory of the content that
// is published is named ..TIME. It serves to compare a volume with another.
func Tree(dir string) ([]string, error) {
	now, err := current(dir)
	if err != nil {
		return nil, err
	}
	hide := func(s string) string {
		if now == "" {
			return s
		}
		return strings.Replace(s, now, "..TIME", 1)
	}
	lines := []string{}
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, p) // p lies in dir
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(p)
			lines = append(lines, "link "+rel+" -> "+hide(target))
			return err
		}
		info, err := d.Info()
		if err == nil {
			lines = append(lines, info.Mode().String()+" "+hide(rel))
		}
		return err
	})
	slices.Sort(lines)
	return lines, err
}

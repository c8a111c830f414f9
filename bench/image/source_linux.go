package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// roots are where the image's files come from: what Debian's packages bring.
var roots = []string{
	"/usr/bin", "/usr/include", "/usr/lib/*-linux-gnu", "/usr/lib/gcc", "/usr/lib/python3*",
	"/usr/libexec", "/usr/sbin", "/usr/share",
}

// shares are the layers' parts of the whole, in percent.
var shares = []int64{40, 25, 15, 10, 5, 4, 1}

// directory is one with its files and links; below it others are not counted.
type directory struct {
	path  string
	files []file
}

type file struct {
	path string
	size int64
	// under is where a copy of path lies in the image: empty, or a directory's name
	// and a slash.
	under string
}

// choose picks files of this machine for each layer, size bytes in all. The
// same tree gives the same choice: directories in a fixed random order, each
// with all that still fits.
func choose(size int64) ([][]file, error) {
	dirs, err := directories()
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(len(dirs), func(i, k int) { dirs[i], dirs[k] = dirs[k], dirs[i] })
	dirs = enough(dirs, size)
	layers := make([][]file, len(shares))
	next := 0
	for l, share := range shares {
		left := size * share / 100
		for ; left > 0 && next < len(dirs); next++ {
			for _, f := range dirs[next].files {
				if f.size <= left {
					layers[l] = append(layers[l], f)
					left -= f.size
				}
			}
		}
		if left > size/100 {
			return nil, fmt.Errorf("this machine has too few files below /usr for %d bytes: ask for less by -mib", size)
		}
	}
	return layers, nil
}

// enough adds copies for an image that is about as large as all there is, or larger:
// no layer takes it all.
func enough(dirs []directory, size int64) []directory {
	var total int64
	for _, d := range dirs {
		for _, f := range d.files {
			total += f.size
		}
	}
	all := dirs
	for n := int64(1); n <= size*3/2/total; n++ {
		for _, d := range dirs {
			again := directory{path: d.path}
			for _, f := range d.files {
				f.under = fmt.Sprintf("copy%d/", n)
				again.files = append(again.files, f)
			}
			all = append(all, again)
		}
	}
	return all
}

func directories() ([]directory, error) {
	var dirs []directory
	for _, glob := range roots {
		found, err := filepath.Glob(glob)
		if err != nil {
			return nil, err
		}
		for _, root := range found {
			err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
				if err != nil || !d.IsDir() {
					return err
				}
				here, err := list(p)
				dirs = append(dirs, here)
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(dirs, func(a, b directory) int { return strings.Compare(a.path, b.path) })
	return dirs, nil
}

func list(dir string) (directory, error) {
	d := directory{path: dir}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return d, err
	}
	for _, e := range entries {
		fi, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return d, err
		}
		if m := fi.Mode(); m.IsRegular() || m.Type() == fs.ModeSymlink {
			d.files = append(d.files, file{path: filepath.Join(dir, e.Name()), size: fi.Size()})
		}
	}
	return d, nil
}

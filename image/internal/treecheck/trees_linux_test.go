package treecheck

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
)

// randomImages are as many as are asked of this test; LIFEPOD_TREES sets another
// number, and LIFEPOD_SEED where their seeds begin.
const randomImages = 200

// TestTrees: of real images and of random ones both make the same.
func TestTrees(t *testing.T) {
	packages(t)
	b := onBoth(t)
	if b == nil {
		return
	}
	images := realImages(t)
	n, _ := strconv.Atoi(cmp.Or(os.Getenv("LIFEPOD_TREES"), strconv.Itoa(randomImages)))
	first, _ := strconv.ParseUint(os.Getenv("LIFEPOD_SEED"), 10, 64)
	for i := range n {
		seed := first + uint64(i)
		images[fmt.Sprint("random-", seed)] = imagetest.RandomTree(seed, 1+i%6)
	}
	pulled := map[string]image.Image{}
	for name, img := range images {
		got, ours, theirs := b.pull(t, name, img)
		if ours != nil || theirs != nil {
			t.Errorf("%s: pulled by us: %v, by containerd: %v", name, ours, theirs)
			continue
		}
		pulled[name] = got
	}
	b.stop(t)
	dirs, err := b.theirLayers()
	if err != nil {
		t.Fatal(err)
	}
	for name, img := range pulled {
		t.Run(name, func(t *testing.T) {
			var theirs []string
			for _, c := range img.ChainIDs {
				theirs = append(theirs, dirs[c])
			}
			if slices.Contains(theirs, "") {
				t.Fatalf("containerd has only %q of its layers", theirs)
			}
			if diffs := compare(t, images[name], b.ourLayers(img), theirs); len(diffs) > 0 {
				t.Errorf("they differ:\n%s", strings.Join(diffs, "\n"))
			}
		})
	}
	t.Logf("%d images compared", len(pulled))
}

package image

import (
	"encoding/binary"
	"os"
	"slices"
	"sync"
)

// found keeps what meta.db says of images, as long as it says so: whoever is
// about to change meta.db counts up the number in the file meta.lock, which costs
// a reader one system call instead of opening the database.
type found struct {
	file *os.File
	mu   sync.Mutex
	at   uint64
	m    map[string]Image
}

// maxFound bounds what is kept.
const maxFound = 256

// now is the number of changes that were begun.
func (f *found) now() uint64 {
	b := make([]byte, 8)
	if n, _ := f.file.ReadAt(b, 0); n < len(b) {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// change is called before meta.db is changed, by who holds its lock alone: a
// process that is killed after it has changed nothing, or all.
func (f *found) change() error {
	_, err := f.file.WriteAt(binary.LittleEndian.AppendUint64(nil, f.now()+1), 0)
	return err
}

// get returns what was kept under name at that number of changes.
func (f *found) get(at uint64, name string) (Image, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at != f.at {
		return Image{}, false
	}
	img, ok := f.m[name]
	return img.clone(), ok
}

// put keeps what was read after the number was at.
func (f *found) put(at uint64, name string, img Image) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at != f.at || len(f.m) >= maxFound {
		f.at, f.m = at, map[string]Image{}
	}
	if f.m == nil {
		f.m = map[string]Image{}
	}
	f.m[name] = img.clone()
}

func (img Image) clone() Image {
	img.Tags, img.Digests, img.ChainIDs = slices.Clone(img.Tags), slices.Clone(img.Digests), slices.Clone(img.ChainIDs)
	return img
}

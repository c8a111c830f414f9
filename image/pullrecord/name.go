package pullrecord

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"github.com/lifepod/lifepod/image/policy"
)

// Repository is an image's name as a pod spells it, without tag and digest.
func Repository(image string) (string, error) {
	ref, err := reference.Parse(image)
	if err != nil {
		return "", fmt.Errorf("invalid image name %q: %w", image, err)
	}
	name := image
	if d, ok := ref.(reference.Digested); ok {
		name = strings.TrimSuffix(name, "@"+d.Digest().String())
	}
	if t, ok := ref.(reference.Tagged); ok {
		name = strings.TrimSuffix(name, ":"+t.Tag())
	}
	return name, nil
}

// Same says whether two spellings name the same image: "app" and
// "docker.io/library/app:latest" do.
func Same(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := policy.Parse(a)
	y, errY := policy.Parse(b)
	return errX == nil && errY == nil && x == y
}

// FilePrefix begins the names of all files with records.
const FilePrefix = "sha256-"

// FileName is what the file is called that is about key: an intent's image, a
// record's reference.
func FileName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return FilePrefix + hex.EncodeToString(sum[:])
}

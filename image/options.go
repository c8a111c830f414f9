package image

import (
	"time"

	"github.com/go-logr/logr"
	"github.com/lifepod/lifepod/image/layer"
	"github.com/lifepod/lifepod/image/remote"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Options of a [Store]. The zero value works.
type Options struct {
	// NoSync leaves it to the kernel when content reaches the disk. A process
	// that dies loses nothing by it; a machine that loses power may be left with
	// a store that has to be deleted.
	NoSync bool
	// Parallel bounds the layers that one pull works on at a time. Zero means 3, or 2
	// where layers are packed with zstd: each takes a window of mostly 8 MiB, twice
	// that with the garbage collector's room, and a pull is to take less than 64 MiB.
	Parallel int
	// VerifyLayers holds each layer against its blob when this process uses it
	// for the first time, which takes as long as unpacking it: seconds where
	// Prepare takes a millisecond. A layer that differs is set aside, and its
	// image is gone until it is pulled again. Without it, only Check looks.
	VerifyLayers bool
	// Snapshotter makes root filesystems of layers. Nil asks the kernel what it
	// can do below the store's root, and says in a log line what was chosen.
	Snapshotter Snapshotter
	// Limits bounds what one layer may unpack to.
	Limits layer.Limits
	// Client bounds and configures what goes over the network.
	Client remote.Options
	// Log gets what no caller can be told: what was cleaned up at Open.
	Log logr.Logger
}

// PullOptions of one pull. The zero value pulls anonymously for the platform
// that the program runs on.
type PullOptions struct {
	Auth remote.Auth
	// Platform picks an image from an index. Nil means that of this machine. An
	// image of another operating system or architecture is refused.
	Platform *ocispec.Platform
	// PlainHTTP allows http to this registry, and its certificate to be wrong.
	// Loopback addresses may always speak plain http.
	PlainHTTP bool
	// AllBlobs also fetches the blobs of layers that the store has unpacked
	// already, from blobs that are packed otherwise. To run the image needs none of
	// them, to save it does.
	AllBlobs bool
	// Progress, if set, is called with what happened, one call at a time. The pull
	// waits for it; for one that does not, and a loop, see [Store.Pulling].
	Progress func(Progress)
	// Verify, if set, is asked when the manifest is known and before any layer
	// is fetched.
	Verify Verifier
}

// Phase is what a pull does with a layer.
type Phase string

// The phases of a layer. A layer that the store holds already is Done at once.
const (
	Waiting   Phase = "waiting"
	Fetching  Phase = "fetching"
	Unpacking Phase = "unpacking"
	Done      Phase = "done"
)

// Progress is how far one layer of a pull is.
type Progress struct {
	// Layer is the digest of its blob; Index counts layers from the lowest, 0.
	Layer string
	Index int
	Phase Phase
	// Bytes of Total compressed bytes are here.
	Bytes, Total int64
	At           time.Time
}

package remote_test

import (
	"bytes"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/remote"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// quick retries without much of a wait.
var quick = remote.Options{Backoff: time.Millisecond, Retries: 2}

// serve starts a registry with one blob of 10,000 bytes.
func serve(t *testing.T) (*imagetest.Registry, string, ocispec.Descriptor, []byte) {
	t.Helper()
	reg := &imagetest.Registry{}
	host, stop, err := reg.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	data := bytes.Repeat([]byte("0123456789"), 1000)
	d := ocispec.Descriptor{Digest: digest.FromBytes(data), Size: int64(len(data))}
	reg.Put(imagetest.Blob{Descriptor: d, Data: data})
	return reg, host, d, data
}

// contentRange answers with a range of the fault's own.
func contentRange(value string) imagetest.Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", value)
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write([]byte("not what was asked for"))
		})
	}
}

// A blob goes on where the caller stands, whatever the registry makes of ranges.
func TestBlobFrom(t *testing.T) {
	for name, c := range map[string]struct {
		from  int64
		fault imagetest.Fault
		want  error
	}{
		"all":                  {0, nil, nil},
		"the rest":             {4321, nil, nil},
		"nothing":              {10000, imagetest.Status(500), nil},
		"no ranges":            {4321, imagetest.NoRange(), nil},
		"breaks off":           {4321, imagetest.Truncate(1500), nil},
		"breaks off, no range": {4321, imagetest.Times(2, func(h http.Handler) http.Handler { return imagetest.NoRange()(imagetest.Truncate(6000)(h)) }), nil},
		"before the beginning": {-1, nil, remote.ErrInvalid},
		"behind the end":       {10001, nil, remote.ErrInvalid},
		"a range too far":      {4321, contentRange("bytes 5000-5021/10000"), remote.ErrInvalid},
		"a range that is none": {4321, contentRange("items 1-2"), remote.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			reg, host, d, data := serve(t)
			if c.fault != nil {
				reg.On("/blobs/", c.fault)
			}
			client := remote.New(quick)
			defer client.Close()
			var got bytes.Buffer
			err := client.Repository(host, "a", remote.Auth{}, false).BlobFrom(t.Context(), d, c.from, &got)
			if !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			if err == nil && !bytes.Equal(got.Bytes(), data[c.from:]) {
				t.Errorf("got %d bytes, want the last %d", got.Len(), len(data)-int(c.from))
			}
		})
	}
}

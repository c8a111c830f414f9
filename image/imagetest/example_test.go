package imagetest_test

import (
	"fmt"
	"net/http/httptest"

	"github.com/lifepod/lifepod/image/imagetest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// An image of one program, served like any other.
func ExampleRegistry() {
	img := imagetest.Image{
		Layers: []imagetest.Layer{imagetest.Program("/bin/server", []byte("a static binary"))},
		Config: ocispec.Image{Config: ocispec.ImageConfig{Entrypoint: []string{"/bin/server"}}},
	}
	var reg imagetest.Registry
	if _, err := reg.Add("demo/server:v1", img); err != nil {
		fmt.Println(err)
		return
	}
	srv := httptest.NewServer(&reg)
	defer srv.Close()
	resp, err := srv.Client().Head(srv.URL + "/v2/demo/server/manifests/v1")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode, resp.Header.Get("Content-Type"))
	fmt.Println(reg.Requests())
	// Output:
	// 200 application/vnd.oci.image.manifest.v1+json
	// [HEAD /v2/demo/server/manifests/v1]
}

package imagetest_test

import (
	"testing"

	"github.com/lifepod/lifepod/image/imagetest"
)

func TestFake(t *testing.T) {
	imagetest.Run(t, func(t *testing.T) imagetest.Subject {
		f := &imagetest.Fake{}
		return imagetest.Subject{Store: f, Publish: func(t *testing.T, name string, img imagetest.Image) string {
			name = "registry.example/" + name
			if err := f.Publish(name, img); err != nil {
				t.Fatal(err)
			}
			return name
		}}
	})
}

package dockerconfig_test

import (
	"context"
	"fmt"

	"github.com/lifepod/lifepod/image/credentials/dockerconfig"
)

func ExampleFile_Lookup() {
	f, err := dockerconfig.Parse([]byte(`{"auths": {
		"registry.example": {"auth": "bWU6c2VjcmV0"},
		"registry.example/team": {"username": "team", "password": "secret"}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, repository := range []string{"registry.example/app", "registry.example/team/app"} {
		fmt.Println(f.Lookup(context.Background(), repository))
	}
	// Output:
	// [user me] <nil>
	// [user team] <nil>
}

package credentials_test

import (
	"fmt"

	"github.com/lifepod/lifepod/image/credentials"
)

func ExampleKeyring() {
	c, err := credentials.ParseConfigJSON([]byte(`{"auths": {
		"registry.example": {"username": "all", "password": "1"},
		"registry.example/team": {"username": "team", "password": "2"}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	var k credentials.Keyring
	k.Add(c)
	for _, a := range k.Lookup("registry.example/team/app") {
		fmt.Println(a.Username)
	}
	// Output:
	// team
	// all
}

package plugin_test

import (
	"fmt"

	"github.com/lifepod/lifepod/image/credentials/plugin"
)

func ExampleParse() {
	list, err := plugin.Parse([]byte(`
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: ecr-credential-provider
  matchImages: ["*.dkr.ecr.*.amazonaws.com"]
  defaultCacheDuration: 12h
  apiVersion: credentialprovider.kubelet.k8s.io/v1
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(list[0].Name, list[0].DefaultCacheDuration)
	// Output: ecr-credential-provider 12h0m0s
}

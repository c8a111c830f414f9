package typed_test

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifepod/lifepod/store/memory"
	"github.com/lifepod/lifepod/store/typed"
)

// A kind of one's own: three fields are enough.
func ExampleOf() {
	ctx := context.Background()
	server := &typed.Server{Store: new(memory.Store)}
	quotas := typed.Of[*corev1.ResourceQuota]{Client: server, Resource: typed.Resource{
		Kind: corev1.SchemeGroupVersion.WithKind("ResourceQuota"), Plural: "resourcequotas", Namespaced: true,
		New: func() typed.Object { return new(corev1.ResourceQuota) },
	}}
	_, _ = quotas.Create(ctx, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "q"}})
	_, err := quotas.Get(ctx, "team", "p")
	fmt.Println(err)
	// Output: resourcequotas "p" not found
}

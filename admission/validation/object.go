package validation

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// MaxSecretSize bounds the data of a secret or config map, in bytes.
const MaxSecretSize = 1 << 20

// Object validates a new object of any kind that this package knows: pods in
// depth, config maps and secrets whole, of others the metadata.
func Object(obj runtime.Object) field.ErrorList {
	switch o := obj.(type) {
	case *corev1.Pod:
		return Pod(o)
	case *corev1.ConfigMap:
		return configMap(o)
	case *corev1.Secret:
		return secret(o)
	case *corev1.Namespace:
		return meta(o, false, apivalidation.ValidateNamespaceName)
	case *corev1.Node:
		return meta(o, false, apivalidation.NameIsDNSSubdomain)
	case *corev1.Service:
		return meta(o, true, apivalidation.NameIsDNS1035Label)
	case *corev1.ServiceAccount:
		return meta(o, true, apivalidation.NameIsDNSSubdomain)
	}
	return nil
}

func meta(o metav1.Object, namespaced bool, name apivalidation.ValidateNameFunc) field.ErrorList {
	return apivalidation.ValidateObjectMetaAccessor(o, namespaced, name, field.NewPath("metadata"))
}

func configMap(c *corev1.ConfigMap) field.ErrorList {
	errs := meta(c, true, apivalidation.NameIsDNSSubdomain)
	total := 0
	for key, v := range c.Data {
		errs = append(errs, configKey(field.NewPath("data").Key(key), key)...)
		if _, both := c.BinaryData[key]; both {
			errs = append(errs, field.Invalid(field.NewPath("data").Key(key), key, "duplicate of key present in binaryData"))
		}
		total += len(v)
	}
	for key, v := range c.BinaryData {
		errs = append(errs, configKey(field.NewPath("binaryData").Key(key), key)...)
		total += len(v)
	}
	if total > MaxSecretSize {
		errs = append(errs, field.TooLong(field.NewPath(""), "", MaxSecretSize))
	}
	return errs
}

func configKey(at *field.Path, key string) (errs field.ErrorList) {
	for _, msg := range validation.IsConfigMapKey(key) {
		errs = append(errs, field.Invalid(at, key, msg))
	}
	return errs
}

// secretNeeds holds the keys that typed secrets must have.
var secretNeeds = map[corev1.SecretType][]string{
	corev1.SecretTypeDockercfg:        {corev1.DockerConfigKey},
	corev1.SecretTypeDockerConfigJson: {corev1.DockerConfigJsonKey},
	corev1.SecretTypeSSHAuth:          {corev1.SSHAuthPrivateKey},
	corev1.SecretTypeTLS:              {corev1.TLSCertKey, corev1.TLSPrivateKeyKey},
}

func secret(s *corev1.Secret) field.ErrorList {
	errs := meta(s, true, apivalidation.NameIsDNSSubdomain)
	data := field.NewPath("data")
	total := 0
	for key, v := range s.Data {
		errs = append(errs, configKey(data.Key(key), key)...)
		total += len(v)
	}
	if total > MaxSecretSize {
		errs = append(errs, field.TooLong(data, "", MaxSecretSize))
	}
	for _, key := range secretNeeds[s.Type] {
		if _, ok := s.Data[key]; !ok {
			errs = append(errs, field.Required(data.Key(key), ""))
		}
	}
	return errs
}

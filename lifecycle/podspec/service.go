package podspec

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// serviceEnv are the variables of the services that a pod in namespace sees:
// those of its namespace when links is set, and default/kubernetes always.
func serviceEnv(namespace string, links bool, services []*corev1.Service) map[string]string {
	seen := map[string]*corev1.Service{}
	for _, s := range services {
		if s.Spec.ClusterIP == "" || s.Spec.ClusterIP == corev1.ClusterIPNone || len(s.Spec.Ports) == 0 {
			continue
		}
		if s.Namespace == corev1.NamespaceDefault && s.Name == "kubernetes" {
			if seen[s.Name] == nil {
				seen[s.Name] = s
			}
		} else if s.Namespace == namespace && links {
			seen[s.Name] = s
		}
	}
	vars := map[string]string{}
	for _, s := range seen {
		addService(vars, s)
	}
	return vars
}

func addService(vars map[string]string, s *corev1.Service) {
	name := envName(s.Name)
	port := func(p int32) string { return strconv.Itoa(int(p)) }
	vars[name+"_SERVICE_HOST"] = s.Spec.ClusterIP
	vars[name+"_SERVICE_PORT"] = port(s.Spec.Ports[0].Port)
	for _, p := range s.Spec.Ports {
		if p.Name != "" {
			vars[name+"_SERVICE_PORT_"+envName(p.Name)] = port(p.Port)
		}
	}
	for i, p := range s.Spec.Ports {
		protocol := string(p.Protocol)
		if protocol == "" {
			protocol = string(corev1.ProtocolTCP)
		}
		url := strings.ToLower(protocol) + "://" + net.JoinHostPort(s.Spec.ClusterIP, port(p.Port))
		if i == 0 {
			vars[name+"_PORT"] = url
		}
		link := fmt.Sprintf("%s_PORT_%d_%s", name, p.Port, strings.ToUpper(protocol))
		vars[link] = url
		vars[link+"_PROTO"] = strings.ToLower(protocol)
		vars[link+"_PORT"] = port(p.Port)
		vars[link+"_ADDR"] = s.Spec.ClusterIP
	}
}

func envName(s string) string { return strings.ToUpper(strings.ReplaceAll(s, "-", "_")) }

package netns

import (
	"fmt"
	"path/filepath"
	"strings"
)

// ipcSysctls are the names outside fs.mqueue that belong to an IPC namespace.
var ipcSysctls = map[string]bool{
	"kernel.auto_msgmni": true, "kernel.msgmax": true, "kernel.msgmnb": true, "kernel.msgmni": true,
	"kernel.msg_next_id": true, "kernel.sem": true, "kernel.sem_next_id": true, "kernel.shmall": true,
	"kernel.shmmax": true, "kernel.shmmni": true, "kernel.shm_next_id": true, "kernel.shm_rmid_forced": true,
}

// sysctlFile is the file of a sysctl that belongs to one of kinds. Others would
// be written for the whole machine and are refused.
func sysctlFile(name string, kinds Kinds) (string, error) {
	parts := sysctlParts(name)
	for _, p := range parts {
		if p == "" || p == "." || p == ".." || strings.ContainsRune(p, 0) {
			return "", fmt.Errorf("sysctl %q: not a name", name)
		}
	}
	var need Kinds
	var what string
	switch {
	case len(parts) < 2:
		return "", fmt.Errorf("sysctl %q: not a name", name)
	case parts[0] == "net":
		need, what = Net, "network"
	case parts[0] == "fs" && parts[1] == "mqueue", ipcSysctls[strings.Join(parts, ".")]:
		need, what = IPC, "IPC"
	default:
		return "", fmt.Errorf("sysctl %q belongs to no namespace of a pod: it would change the whole machine", name)
	}
	if kinds&need == 0 {
		return "", fmt.Errorf("sysctl %q needs %s namespace of its own", name, map[string]string{"network": "a network", "IPC": "an IPC"}[what])
	}
	return filepath.Join(append([]string{"/proc/sys"}, parts...)...), nil
}

// sysctlParts splits at the first separator that occurs, as sysctl(8) does, so
// that net/ipv4/conf/eth0.1/forwarding keeps its dot.
func sysctlParts(name string) []string {
	i := strings.IndexAny(name, "./")
	if i < 0 {
		return []string{name}
	}
	if name[i] == '/' {
		return strings.Split(name, "/")
	}
	parts := strings.Split(name, ".")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(p, "/", ".")
	}
	return parts
}

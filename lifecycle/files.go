package lifecycle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/lifecycle/logs"
	"github.com/lifepod/lifepod/lifecycle/podspec"
)

// Bounds of a termination message, in bytes and lines.
const (
	messageMax     = 4096
	messageLogMax  = 2048
	messageLogTail = 80
)

var effectFile = sys.NewEffect("lifecycle/file")

func makeDir(dir string, perm os.FileMode) error {
	return effectFile.Do(func() error { return os.MkdirAll(dir, perm) })
}

// hostsFile writes the pod's /etc/hosts and returns its path. It is written at
// every container's start: a new sandbox has another address.
func (w *worker) hostsFile() (string, error) {
	ips := w.podIPs()
	var node []byte
	if w.pod().Spec.HostNetwork {
		var err error
		if node, err = os.ReadFile(hostsPath); err != nil {
			return "", err
		}
	} else if len(ips) == 0 {
		return "", nil
	}
	content, err := podspec.HostsFile(w.pod(), ips, w.r.node.ClusterDomain, node)
	if err != nil {
		return "", err
	}
	path := filepath.Join(string(w.dir), "etc-hosts")
	// Written in place: running containers have this very file mounted.
	return path, effectFile.Do(func() error { return os.WriteFile(path, content, 0o644) })
}

const hostsPath = "/etc/hosts"

// terminationLog makes the file that a container instance writes its last
// message to. Any user in the container may write it.
func (w *worker) terminationLog(c *corev1.Container, attempt uint32) (string, error) {
	if c.TerminationMessagePath == "" {
		return "", nil
	}
	dir := filepath.Join(string(w.dir), "containers", c.Name)
	if err := makeDir(dir, 0o750); err != nil {
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprintf("%08x", attempt))
	return path, effectFile.Do(func() error {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Chmod(0o666) // whatever the umask says
	})
}

// terminationMessage is what a container left as its last words, behind the
// runtime's own message.
func (w *worker) terminationMessage(st *runtimeapi.ContainerStatus) string {
	var words string
	path := st.GetAnnotations()[podspec.AnnotationTerminationMessagePath]
	for _, m := range st.GetMounts() {
		if path != "" && m.GetContainerPath() == path {
			words = w.lastWords(m.GetHostPath())
		}
	}
	policy := st.GetAnnotations()[podspec.AnnotationTerminationMessagePolicy]
	if words == "" && st.GetExitCode() != 0 && policy == string(corev1.TerminationMessageFallbackToLogsOnError) {
		words, _ = logs.Tail(st.GetLogPath(), messageLogTail, messageLogMax)
	}
	if own := st.GetMessage(); own != "" && words != "" {
		return own + ": " + words
	} else if own != "" {
		return own
	}
	return words
}

// lastWords reads the tail of a termination log, of a file of ours alone: the
// container could have named any.
func (w *worker) lastWords(path string) string {
	if !strings.HasPrefix(path, string(w.dir)+"/") {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || fi.Size() == 0 {
		return ""
	}
	b := make([]byte, min(fi.Size(), messageMax))
	n, _ := f.ReadAt(b, max(0, fi.Size()-messageMax))
	return string(b[:n])
}

// removeFiles removes what a container instance had outside the runtime.
func (w *worker) removeFiles(st *runtimeapi.ContainerStatus, keepLog bool) error {
	name, attempt := st.GetMetadata().GetName(), st.GetMetadata().GetAttempt()
	if name == "" {
		return nil
	}
	files := []string{filepath.Join(string(w.dir), "containers", name, fmt.Sprintf("%08x", attempt))}
	if log := st.GetLogPath(); !keepLog && filepath.Base(log) == strconv.Itoa(int(attempt))+".log" {
		files = append(files, log)
	}
	for _, f := range files {
		err := effectFile.Do(func() error { return os.Remove(f) })
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

package container

import (
	"errors"
	"fmt"
	"path"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// ValidID tells whether id may name a container: [a-z0-9-]{1,64}.
func ValidID(id string) bool {
	if len(id) < 1 || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// Validate tells every way in which s cannot be created by any implementation.
// It looks at nothing outside s.
func (s Spec) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !ValidID(s.ID) {
		bad("id %q must be 1 to 64 of a-z, 0-9 and -", s.ID)
	}
	if s.Log != "" && !cleanAbs(s.Log) {
		bad("log %q must be an absolute path without . and ..", s.Log)
	}
	if s.StdinOnce && !s.Stdin {
		bad("stdinOnce needs stdin")
	}
	if s.OCI == nil {
		bad("the OCI spec is missing")
		return invalid(s.ID, errs)
	}
	if r := s.OCI.Root; r == nil || !cleanAbs(r.Path) {
		bad("root.path must be an absolute path without . and ..")
	}
	errs = append(errs, validateProcess(s.OCI.Process)...)
	if l := s.OCI.Linux; l == nil {
		bad("linux is missing: only Linux containers can be run")
	} else if !cleanAbs(l.CgroupsPath) || l.CgroupsPath == "/" {
		bad("linux.cgroupsPath %q must be an absolute path below /", l.CgroupsPath)
	}
	if o := s.OCI; o.Windows != nil || o.VM != nil || o.Solaris != nil || o.ZOS != nil || o.FreeBSD != nil {
		bad("windows, vm, solaris, zos and freebsd cannot be honoured: remove them")
	}
	return invalid(s.ID, errs)
}

func validateProcess(p *specs.Process) []error {
	if p == nil {
		return []error{errors.New("process is missing")}
	}
	var errs []error
	if len(p.Args) == 0 || p.Args[0] == "" {
		errs = append(errs, errors.New("process.args must name a program"))
	}
	if !path.IsAbs(p.Cwd) {
		errs = append(errs, fmt.Errorf("process.cwd %q must be an absolute path", p.Cwd))
	}
	for _, e := range p.Env {
		if strings.ContainsRune(e, 0) || strings.Index(e, "=") < 1 {
			errs = append(errs, fmt.Errorf("process.env %q must be name=value", e))
		}
	}
	return errs
}

func invalid(id string, errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("invalid container %q: %w", id, errors.Join(errs...))
}

func cleanAbs(p string) bool {
	return path.IsAbs(p) && path.Clean(p) == p && !strings.ContainsRune(p, 0)
}

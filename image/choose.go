package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The forms that layers of a store can have.
const (
	formTrusted = "trusted"
	formUser    = "user"
)

func formOf(unprivileged bool) string {
	if unprivileged {
		return formUser
	}
	return formTrusted
}

// snapshotter returns the store's, chosen when it is first needed: what an
// earlier process unpacked must fit what this one can mount.
func (s *Store) snapshotter() (Snapshotter, error) {
	sess, err := s.startSession()
	if err != nil {
		return nil, err
	}
	s.choose.Lock()
	defer s.choose.Unlock()
	if s.chosen != nil {
		return s.chosen, nil
	}
	path := filepath.Join(s.root, "form")
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	form := string(b)
	sn, why := s.opts.Snapshotter, "as the options say"
	if sn == nil {
		if sn, why, err = ProbeSnapshotter(sess.layers, form == formUser); err != nil {
			return nil, fmt.Errorf("choose a snapshotter: %w", err)
		}
	}
	want := formOf(sn.Unprivileged())
	if form == "" {
		half := filepath.Join(sess.blobs, "form")
		if err := errors.Join(os.WriteFile(half, []byte(want), 0o600), os.Rename(half, path)); err != nil {
			return nil, err
		}
	} else if form != want {
		return nil, fmt.Errorf("the layers below %s are unpacked in the form %q, %s needs the form %q (%s): use another root, or the privileges of who made this one", s.root, form, sn, want, why)
	}
	s.opts.Log.Info("snapshotter", "root", s.root, "chosen", sn.String(), "why", why)
	s.chosen = sn
	return sn, nil
}

// ProbeSnapshotter asks the kernel what a store below dir can use and says why:
// overlayfs with root's privileges, overlayfs with those of a user namespace, or
// copies. With user set it does not take root's, even where it could. An error
// says that it could not tell: asked again, it may.
func ProbeSnapshotter(dir string, user bool) (sn Snapshotter, why string, err error) {
	tmp, err := os.MkdirTemp(dir, ".probe-")
	if err != nil {
		return nil, "", err
	}
	defer os.RemoveAll(tmp)
	var reasons []string
	if !user {
		switch err := mayTrust(tmp); {
		case errors.Is(err, errors.ErrUnsupported):
			user = true
			reasons = append(reasons, err.Error())
		case err != nil:
			return nil, "", err
		}
	}
	err = mayOverlay(tmp, Overlay{user})
	if errors.Is(err, errors.ErrUnsupported) {
		return Copy{user}, strings.Join(append(reasons, err.Error()), "; "), nil
	}
	if err != nil {
		return nil, "", err
	}
	return Overlay{user}, strings.Join(append(reasons, "it mounts here"), "; "), nil
}

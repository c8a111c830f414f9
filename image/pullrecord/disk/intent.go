package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/lifepod/lifepod/image/pullrecord"
	"github.com/lifepod/lifepod/internal/sys"
)

// Begin implements [pullrecord.Intents]. A pull that is under way holds its
// intent's file; the last one removes it.
func (s *Store) Begin(image string) (end func() error, err error) {
	f, err := s.begin(image)
	if err != nil {
		return nil, fmt.Errorf("failed to record image pull intent: %w", err)
	}
	return sync.OnceValue(func() error {
		defer f.Close()
		if err := s.end(image, f); err != nil {
			return fmt.Errorf("take back the intent to pull %s: %w", image, err)
		}
		return nil
	}), nil
}

func (s *Store) begin(image string) (*os.File, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	path := s.intent(image)
	if b, err := readFile(path); err != nil || !intends(b, image) {
		if b, err = pullrecord.EncodeIntent(image); err != nil {
			return nil, err
		}
		if err := sys.WriteFile(path, b, 0o600, s.sync); err != nil {
			return nil, err
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := sys.Hold(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func intends(b []byte, image string) bool {
	got, err := pullrecord.DecodeIntent(b)
	return err == nil && got == image
}

// end removes the intent's file if f is it and nobody else holds it.
func (s *Store) end(image string, f *os.File) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if path := s.intent(image); sys.Same(f, path) && sys.Alone(f) {
		return effectRemove.Do(func() error { return os.Remove(path) })
	}
	return nil
}

// Intended implements [pullrecord.Intents]. The intent of this very name counts
// also when it is damaged: its file is named after the image.
func (s *Store) Intended(image string) (bool, error) {
	_, err := os.Lstat(s.intent(image))
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	paths, err := files(s.pulling())
	if err != nil {
		return false, err
	}
	for _, path := range paths {
		b, err := readFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return false, err
		}
		if other, err := pullrecord.DecodeIntent(b); err == nil && pullrecord.Same(image, other) {
			return true, nil
		}
	}
	return false, nil
}

// Unfinished implements [pullrecord.Intents].
func (s *Store) Unfinished() ([]string, error) {
	paths, err := files(s.pulling())
	if len(paths) == 0 {
		return nil, err
	}
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var images []string
	var errs []error
	for _, path := range paths {
		image, free, err := unfinished(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if errs = append(errs, err); err == nil && free {
			images = append(images, image)
		}
	}
	return images, errors.Join(errs...)
}

// unfinished reads an intent and says whether nobody holds it.
func unfinished(path string) (image string, free bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	if !sys.Alone(f) {
		return "", false, nil
	}
	b, err := readAll(f)
	if err != nil {
		return "", false, err
	}
	if image, err = pullrecord.DecodeIntent(b); err != nil {
		return "", false, fmt.Errorf("intent to pull %s: %w; remove it if all images there are public", path, err)
	}
	return image, true, nil
}

package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
)

// errDamaged is for what is not as the store wrote it.
var errDamaged = errors.New("damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal appends to a record a checksum of it and of what it is the record of, so
// that no flipped bit changes its meaning unseen.
func seal(of string, record []byte) []byte {
	return fmt.Appendf(record, "\n%08x", sum(of, record))
}

// unseal returns what was sealed.
func unseal(of string, b []byte) ([]byte, error) {
	at := bytes.LastIndexByte(b, '\n')
	if at < 0 || string(b[at+1:]) != fmt.Sprintf("%08x", sum(of, b[:at])) {
		return nil, fmt.Errorf("checksum mismatch: %w", errDamaged)
	}
	return b[:at], nil
}

func sum(of string, record []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(of), castagnoli), castagnoli, record)
}

// writeRecord writes a record beside what it describes, before that gets its name.
func writeRecord(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(path, seal("", b), 0o600)
}

// readRecord reads what writeRecord wrote. ErrNotFound if there is none.
func readRecord(path string, v any) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w", ErrNotFound)
	}
	if err != nil {
		return err
	}
	if b, err = unseal("", b); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

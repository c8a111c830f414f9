package image

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
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
func seal(of, record []byte) []byte {
	return appendSum(append(record, '\n'), sum(of, record))
}

// appendSum appends a checksum in 8 hexadecimal digits.
func appendSum(b []byte, sum uint32) []byte {
	return hex.AppendEncode(b, binary.BigEndian.AppendUint32(nil, sum))
}

// unseal returns what was sealed.
func unseal(of, b []byte) ([]byte, error) {
	at, ok := intact(of, b)
	if !ok {
		return nil, fmt.Errorf("checksum mismatch: %w", errDamaged)
	}
	return b[:at], nil
}

// intact says whether b was sealed as of, and where its record ends.
func intact(of, b []byte) (at int, ok bool) {
	at = bytes.LastIndexByte(b, '\n')
	return at, at >= 0 && bytes.Equal(b[at+1:], appendSum(make([]byte, 0, 8), sum(of, b[:at])))
}

func sum(of, record []byte) uint32 {
	return crc32.Update(crc32.Checksum(of, castagnoli), castagnoli, record)
}

// writeRecord writes a record beside what it describes, before that gets its name.
func writeRecord(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(path, seal(nil, b), 0o600)
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
	if b, err = unseal(nil, b); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

package imagetest

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"path"
	"strconv"
)

// sparseBlock is how long a run of zeros is that becomes a hole, and tar's block.
const sparseBlock = 512

// sparseMark stands for "GNU.sparse.", which archive/tar does not write.
const sparseMark = "\x01nu.sparse."

// sparse makes the header and the content of a sparse file in GNU's pax format
// 1.0: a map of what is data, then the data. The records are marked yet.
func sparse(h *tar.Header, data []byte) (*tar.Header, []byte) {
	var parts [][2]int // offset and length
	var content []byte
	for at := 0; at < len(data); at += sparseBlock {
		b := data[at:min(at+sparseBlock, len(data))]
		if len(bytes.Trim(b, "\x00")) == 0 {
			continue
		}
		if last := len(parts) - 1; last >= 0 && parts[last][0]+parts[last][1] == at {
			parts[last][1] += len(b)
		} else {
			parts = append(parts, [2]int{at, len(b)})
		}
		content = append(content, b...)
	}
	parts = append(parts, [2]int{len(data), 0}) // the end, in case of a hole there
	list := fmt.Appendf(nil, "%d\n", len(parts))
	for _, p := range parts {
		list = fmt.Appendf(list, "%d\n%d\n", p[0], p[1])
	}
	list = append(list, make([]byte, -len(list)&(sparseBlock-1))...)
	s := *h
	s.PAXRecords = maps.Clone(h.PAXRecords)
	if s.PAXRecords == nil {
		s.PAXRecords = map[string]string{}
	}
	for k, v := range map[string]string{"major": "1", "minor": "0", "name": h.Name, "realsize": strconv.Itoa(len(data))} {
		s.PAXRecords[sparseMark+k] = v
	}
	s.Name = path.Join(path.Dir(h.Name), "GNUSparseFile.0", path.Base(h.Name))
	s.Size = int64(len(list) + len(content))
	return &s, append(list, content...)
}

// markSparse gives the records of a written header their names. Only a header
// itself has a checksum, not its records.
func markSparse(header []byte) {
	for {
		i := bytes.Index(header, []byte(sparseMark))
		if i < 0 {
			return
		}
		copy(header[i:], "GNU.sparse.")
	}
}

package bridge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Legacy iptables hands out its table as one block of memory, struct
// ipt_entry after struct ipt_entry (linux/netfilter_ipv4/ip_tables.h).
const (
	soGetInfo    = 64
	soGetEntries = 65

	infoSize      = 84
	infoUnderflow = 56 + 4*2 // underflow[NF_INET_FORWARD]
	infoBytes     = 80

	entriesHeader = 40
	entrySize     = 112
	entryIn       = 16
	entryOut      = 32
	entryTarget   = 88
	entryNext     = 90
	targetName    = 2
	targetVerdict = 32

	verdictDrop   = -1
	verdictAccept = -2
)

// legacyDrops asks legacy iptables whether its FORWARD chain drops by policy
// and does not accept the bridge's packets.
func legacyDrops(bridge string) (bool, error) {
	// Asking for a table makes it: ask only for one that is there.
	loaded, err := os.ReadFile("/proc/thread-self/net/ip_tables_names")
	if errors.Is(err, os.ErrNotExist) || err == nil && !hasLine(string(loaded), "filter") {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return false, fmt.Errorf("ask legacy iptables: %w", err)
	}
	defer unix.Close(fd)
	info := make([]byte, infoSize)
	copy(info, "filter")
	if err := getsockopt(fd, soGetInfo, info); err != nil {
		return false, fmt.Errorf("ask legacy iptables about its table: %w", err)
	}
	n := binary.NativeEndian.Uint32(info[infoBytes:])
	if n > 64<<20 {
		return false, fmt.Errorf("the legacy iptables table filter has %d bytes", n)
	}
	table := make([]byte, entriesHeader+int(n))
	copy(table, "filter")
	binary.NativeEndian.PutUint32(table[32:], n)
	if err := getsockopt(fd, soGetEntries, table); err != nil {
		return false, fmt.Errorf("read legacy iptables: %w", err)
	}
	return parseLegacy(info, table[entriesHeader:], bridge)
}

func hasLine(text, line string) bool {
	for l := range strings.Lines(text) {
		if strings.TrimSpace(l) == line {
			return true
		}
	}
	return false
}

func getsockopt(fd, opt int, b []byte) error {
	n := uint32(len(b))
	_, _, no := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_IP, uintptr(opt),
		uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), 0)
	if no != 0 {
		return os.NewSyscallError("getsockopt", no)
	}
	return nil
}

// parseLegacy reads the policy of FORWARD and looks through all rules for ones
// that accept the bridge's packets in and out.
func parseLegacy(info, table []byte, bridge string) (drops bool, err error) {
	if len(info) < infoSize {
		return false, errors.New("legacy iptables: its answer is too short")
	}
	policy := binary.NativeEndian.Uint32(info[infoUnderflow:])
	in, out, found := false, false, false
	for at := 0; at+entrySize <= len(table); {
		e := table[at:]
		next := int(binary.NativeEndian.Uint16(e[entryNext:]))
		target := int(binary.NativeEndian.Uint16(e[entryTarget:]))
		if next < entrySize || next > len(e) || target < entrySize || target > next {
			return false, fmt.Errorf("legacy iptables: the entry at %d is damaged", at)
		}
		if next-target >= targetVerdict+4 && e[target+targetName] == 0 { // a standard target has no name
			verdict := int32(binary.NativeEndian.Uint32(e[target+targetVerdict:]))
			if at == int(policy) {
				drops, found = verdict == verdictDrop, true
			}
			if verdict == verdictAccept {
				in = in || device16(e[entryIn:], bridge)
				out = out || device16(e[entryOut:], bridge)
			}
		}
		at += next
	}
	if !found {
		return false, errors.New("legacy iptables: FORWARD has no policy")
	}
	return drops && (!in || !out), nil
}

func device16(b []byte, name string) bool {
	got, _, _ := bytes.Cut(b[:unix.IFNAMSIZ], []byte{0})
	return string(got) == name
}

package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"

	"golang.org/x/sys/unix"
)

// file makes a regular file with its owner and mode. Long runs of zeros become
// holes.
func (u *unpacker) file(parent int, base string, h *tar.Header, r io.Reader) error {
	mode := uint32(h.Mode) & 0o7777
	if u.unprivileged {
		mode = usable(mode, false)
	}
	fd, err := unix.Openat(parent, base,
		unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode&0o777)
	if err != nil {
		return err
	}
	hole, err := u.fill(fd, r)
	if err == nil && hole {
		err = unix.Ftruncate(fd, h.Size)
	}
	if err == nil {
		err = u.own(fd, h.Uid, h.Gid, mode)
	}
	return errors.Join(err, unix.Close(fd))
}

// own changes owner and mode if they are not right yet: that is seldom, and
// looking costs a tenth of it.
func (u *unpacker) own(fd, uid, gid int, mode uint32) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if int(st.Uid) != uid || int(st.Gid) != gid {
		if err := unix.Fchown(fd, uid, gid); err != nil && !u.drop(err) {
			return err
		}
	} else if st.Mode&0o7777 == mode {
		return nil
	}
	return unix.Fchmod(fd, mode)
}

const holeSize = 64 << 10

var zeros [holeSize]byte

// fill copies r to fd and says whether the file ends in a hole.
func (u *unpacker) fill(fd int, r io.Reader) (hole bool, err error) {
	for {
		n, err := io.ReadFull(r, u.buf)
		u.res.Bytes += int64(n)
		if lerr := u.limits.unpacked(u.res.Bytes); lerr != nil {
			return false, lerr
		}
		for b := u.buf[:n]; len(b) > 0 && (err == nil || errors.Is(err, io.ErrUnexpectedEOF)); {
			run := b[:min(len(b), holeSize)]
			b = b[len(run):]
			if hole = len(run) == holeSize && bytes.Equal(run, zeros[:]); hole {
				if _, err := unix.Seek(fd, holeSize, io.SeekCurrent); err != nil {
					return false, err
				}
				continue
			}
			for len(b) > 0 && !zeroRun(b) { // one write for as much as has no hole
				k := min(len(b), holeSize)
				run, b = run[:len(run)+k], b[k:]
			}
			if err := writeAll(fd, run); err != nil {
				return false, err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return hole, nil
		}
		if err != nil {
			return false, err
		}
	}
}

func zeroRun(b []byte) bool { return len(b) >= holeSize && bytes.Equal(b[:holeSize], zeros[:]) }

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

func regular(h *tar.Header) bool {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, '\x00', '7':
		return true
	}
	return false
}

// attributes sets owner, mode, extended attributes and times, in this order:
// each of the first two would take from the next.
func (u *unpacker) attributes(parent int, base, name string, h *tar.Header) error {
	isFile := regular(h) // it has them already
	if !isFile && (u.setgid || h.Uid != u.uid || h.Gid != u.gid || h.Typeflag == tar.TypeDir) {
		if err := unix.Fchownat(parent, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil && !u.drop(err) {
			return err
		}
	}
	if !isFile && h.Typeflag != tar.TypeSymlink {
		mode := uint32(h.Mode) & 0o7777
		if u.unprivileged {
			mode = usable(mode, h.Typeflag == tar.TypeDir)
		}
		if err := unix.Fchmodat(parent, base, mode, 0); err != nil {
			return err
		}
	}
	if err := u.setXattrs(procPath(parent, base), h); err != nil {
		return err
	}
	at := h.ModTime
	if h.AccessTime.After(at) {
		at = h.AccessTime
	}
	ts := [2]unix.Timespec{timespec(at), timespec(h.ModTime)}
	if h.Typeflag == tar.TypeDir {
		u.setgid = u.setgid || h.Mode&unix.S_ISGID != 0
		u.times = append(u.times, dirTime{name, ts, h.PAXRecords[paxXattr+aclDefault]})
		return nil
	}
	return unix.UtimesNanoAt(parent, base, ts[:], unix.AT_SYMLINK_NOFOLLOW)
}

// usable lets the owner do what root may do in spite of a mode.
func usable(mode uint32, dir bool) uint32 {
	if dir {
		return mode | 0o700
	}
	return mode | 0o600
}

const paxXattr = "SCHILY.xattr."

const aclDefault = "system.posix_acl_default"

// setXattrs sets the extended attributes of an entry, but for those by which a
// layer could steer overlayfs, and a directory's default access control list,
// which comes last.
func (u *unpacker) setXattrs(p string, h *tar.Header) error {
	plain := regular(h) || h.Typeflag == tar.TypeDir
	for k, v := range h.PAXRecords {
		name, ok := strings.CutPrefix(k, paxXattr)
		if !ok || steers(name) || name == aclDefault {
			continue
		}
		if err := u.setXattr(p, name, v, plain); err != nil {
			return err
		}
	}
	return nil
}

// setXattr sets one, unless the file cannot have it: plain is one that can have
// those of users.
func (u *unpacker) setXattr(p, name, value string, plain bool) error {
	err := unix.Lsetxattr(p, name, []byte(value), 0)
	if err == nil || errors.Is(err, unix.ENOTSUP) || u.drop(err) || errors.Is(err, unix.EPERM) && !plain && strings.HasPrefix(name, "user.") {
		return nil
	}
	return entryError("attribute "+name, err)
}

// steers says whether an extended attribute is one by which overlayfs, or
// whatever else has privileges, is told what to do.
func steers(name string) bool {
	return strings.HasPrefix(name, "trusted.") || strings.HasPrefix(name, "user.overlay.")
}

package ocispec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/user"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// User is whom the container's first process runs as. Groups holds GID too.
type User struct {
	UID, GID uint32
	Groups   []uint32
}

// maxFile bounds what is read of an image's passwd and group files.
const maxFile = 16 << 20

// ResolveUser decides on user and groups from the security context, else from
// the image's USER. Names are looked up in /etc/passwd and /etc/group of root,
// which is opened with names without a leading slash and must keep symbolic
// links inside. Files that are absent count as empty.
func ResolveUser(root fs.FS, c *runtimeapi.ContainerConfig, img imagespec.ImageConfig) (User, error) {
	sc := c.GetLinux().GetSecurityContext()
	name, err := userString(sc, img)
	if err != nil {
		return User{}, err
	}
	who, group, _ := strings.Cut(name, ":")
	u, err := primary(root, who, group)
	if err != nil {
		return User{}, err
	}
	groups := []uint32{u.GID}
	switch sc.GetSupplementalGroupsPolicy() {
	case runtimeapi.SupplementalGroupsPolicy_Merge:
		more, err := memberships(root, who)
		if err != nil {
			return User{}, err
		}
		groups = append(groups, more...)
	case runtimeapi.SupplementalGroupsPolicy_Strict:
	default:
		return User{}, &FieldError{"linux.security_context.supplemental_groups_policy",
			fmt.Sprintf("the policy %d is unknown", sc.GetSupplementalGroupsPolicy())}
	}
	for _, g := range sc.GetSupplementalGroups() {
		if g < 0 || g > math.MaxInt32 {
			return User{}, &FieldError{"linux.security_context.supplemental_groups", fmt.Sprintf("%d is no group id", g)}
		}
		groups = append(groups, uint32(g))
	}
	slices.Sort(groups)
	u.Groups = slices.Compact(groups)
	return u, nil
}

// userString is "user", "user:group" or empty.
func userString(sc *runtimeapi.LinuxContainerSecurityContext, img imagespec.ImageConfig) (string, error) {
	name := sc.GetRunAsUsername()
	if name == "" && sc.GetRunAsUser() != nil {
		name = strconv.FormatInt(sc.GetRunAsUser().GetValue(), 10)
	}
	switch {
	case name == "" && sc.GetRunAsGroup() != nil:
		return "", &FieldError{"linux.security_context.run_as_group",
			fmt.Sprintf("user group %q is specified without user", strconv.FormatInt(sc.GetRunAsGroup().GetValue(), 10))}
	case name == "":
		return img.User, nil
	case sc.GetRunAsGroup() != nil:
		return name + ":" + strconv.FormatInt(sc.GetRunAsGroup().GetValue(), 10), nil
	}
	return name, nil
}

// primary is the user and its group: the one named, else the one in its passwd
// entry, else root's.
func primary(root fs.FS, who, group string) (User, error) {
	var u User
	if who != "" {
		entry, found, err := lookupUser(root, who)
		if err != nil {
			return u, err
		}
		id, numeric, err := number(who)
		switch {
		case err != nil:
			return u, err
		case numeric:
			u.UID = id
		case !found:
			return u, fmt.Errorf("user %q: no users found in the image's /etc/passwd", who)
		default:
			u.UID = uint32(entry.Uid)
		}
		if found {
			u.GID = uint32(entry.Gid)
		}
	}
	if group == "" {
		return u, nil
	}
	id, numeric, err := number(group)
	if err != nil || numeric {
		u.GID = id
		return u, err
	}
	gs, err := parse(root, "etc/group", func(r io.Reader) ([]user.Group, error) {
		return user.ParseGroupFilter(r, func(g user.Group) bool { return g.Name == group })
	})
	if err != nil {
		return u, err
	}
	if len(gs) == 0 {
		return u, fmt.Errorf("group %q: no groups found in the image's /etc/group", group)
	}
	u.GID = uint32(gs[0].Gid)
	return u, nil
}

// number parses an id. The runtimes take no more than 31 bits.
func number(s string) (id uint32, numeric bool, err error) {
	v, err := strconv.ParseInt(s, 10, 64)
	if errors.Is(err, strconv.ErrRange) || err == nil && (v < 0 || v > math.MaxInt32) {
		return 0, true, fmt.Errorf("user or group %q: id out of range", s)
	}
	return uint32(v), err == nil, nil
}

// lookupUser finds the entry by id or by name.
func lookupUser(root fs.FS, who string) (user.User, bool, error) {
	id, numeric, err := number(who)
	if err != nil {
		return user.User{}, false, err
	}
	us, err := parse(root, "etc/passwd", func(r io.Reader) ([]user.User, error) {
		return user.ParsePasswdFilter(r, func(u user.User) bool {
			return numeric && u.Uid == int(id) || !numeric && u.Name == who
		})
	})
	if err != nil || len(us) == 0 {
		return user.User{}, false, err
	}
	if us[0].Uid < 0 || us[0].Uid > math.MaxInt32 || us[0].Gid < 0 || us[0].Gid > math.MaxInt32 {
		return user.User{}, false, fmt.Errorf("user %q: its entry in the image's /etc/passwd has an id out of range", who)
	}
	return us[0], true, nil
}

// memberships are the groups that list the user. A group of the user's own name
// is its primary one and does not count.
func memberships(root fs.FS, who string) ([]uint32, error) {
	if who == "" {
		who = "0"
	}
	if _, numeric, err := number(who); err != nil {
		return nil, err
	} else if numeric {
		entry, found, err := lookupUser(root, who)
		if err != nil || !found {
			return nil, err
		}
		who = entry.Name
	}
	gs, err := parse(root, "etc/group", func(r io.Reader) ([]user.Group, error) {
		return user.ParseGroupFilter(r, func(g user.Group) bool {
			return g.Name != who && g.Gid >= 0 && g.Gid <= math.MaxInt32 && slices.Contains(g.List, who)
		})
	})
	var ids []uint32
	for _, g := range gs {
		ids = append(ids, uint32(g.Gid))
	}
	return ids, err
}

func parse[T any](root fs.FS, name string, f func(io.Reader) ([]T, error)) ([]T, error) {
	file, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the image's /%s: %w", name, err)
	}
	defer file.Close()
	list, err := f(io.LimitReader(file, maxFile))
	if err != nil {
		return nil, fmt.Errorf("read the image's /%s: %w", name, err)
	}
	return list, nil
}

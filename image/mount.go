package image

import (
	"slices"
	"strings"
)

// Under returns mounts that show, where no layer has anything of that name, what
// lies in dir, which nobody changes while they are mounted: places for mounts, for
// one. Without an overlayfs, and with as many layers as that takes, they are
// returned as they are. It is to come before [MapIDs].
func Under(mounts []Mount, dir string) []Mount {
	under := slices.Clone(mounts)
	for i, m := range under {
		at := slices.IndexFunc(m.Options, func(o string) bool { return strings.HasPrefix(o, "lowerdir=") })
		if m.Type != "overlay" || at < 0 || len(splitLowers(m.Options[at])) >= maxLayers {
			continue
		}
		under[i].Options = slices.Clone(m.Options)
		under[i].Options[at] += ":" + escape(dir)
	}
	return under
}

// escape writes a directory as overlayfs and mount(8) want it in their options.
func escape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`, `,`, `\,`).Replace(dir)
}

// splitLowers takes overlayfs' list of lower directories apart.
func splitLowers(list string) []string {
	var dirs []string
	var b strings.Builder
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '\\' && i+1 < len(list):
			i++
			b.WriteByte(list[i])
		case c == ':':
			dirs = append(dirs, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return append(dirs, b.String())
}

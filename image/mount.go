package image

import "strings"

// escape writes a directory for overlayfs' list of lower directories.
func escape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(dir)
}

// splitLowers takes that list apart again.
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

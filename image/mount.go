package image

import "strings"

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

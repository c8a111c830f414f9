package remote

import "strings"

// challenge is one of the ways in which a registry lets itself be convinced
// (RFC 9110, section 11.6.1).
type challenge struct {
	scheme string            // in lower case
	params map[string]string // names in lower case
}

// Bounds on what a registry may write into WWW-Authenticate.
const (
	maxChallenge  = 16 << 10
	maxChallenges = 16
)

// challenges reads WWW-Authenticate headers, each of which may hold several.
// What makes no sense is passed over.
func challenges(headers []string) []challenge {
	var all []challenge
	for _, s := range headers {
		if len(s) > maxChallenge {
			continue
		}
		all = append(all, parse(s)...)
		if len(all) >= maxChallenges {
			return all[:maxChallenges]
		}
	}
	return all
}

func parse(s string) []challenge {
	var all []challenge
	for {
		s = strings.TrimLeft(s, " \t,")
		if s == "" || len(all) > maxChallenges {
			return all
		}
		name, rest := token(s)
		after := strings.TrimLeft(rest, " \t")
		switch {
		case name == "": // not of this grammar: on behind the next comma
			_, s, _ = strings.Cut(s, ",")
		case len(all) > 0 && strings.HasPrefix(after, "="):
			var value string
			value, s = valueOf(strings.TrimLeft(after[1:], " \t"))
			all[len(all)-1].params[strings.ToLower(name)] = value
		default:
			all = append(all, challenge{strings.ToLower(name), map[string]string{}})
			s = rest
		}
	}
}

// token splits s behind the token that it begins with.
func token(s string) (token, rest string) {
	i := strings.IndexFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
	if i < 0 {
		i = len(s)
	}
	return s[:i], s[i:]
}

// valueOf reads a token or a quoted string. What follows a quote that never ends
// is dropped.
func valueOf(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		return token(s)
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", ""
}

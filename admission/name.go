package admission

import "math/rand/v2"

const (
	maxNameBase = 58                            // of generateName, before the random part
	nameLetters = "bcdfghjklmnpqrstvwxz2456789" // none that read as words or as another
)

func generateName(base string) string {
	b := []byte(base[:min(len(base), maxNameBase)])
	for range 5 {
		b = append(b, nameLetters[rand.IntN(len(nameLetters))])
	}
	return string(b)
}

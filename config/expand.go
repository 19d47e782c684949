package config

import (
	"regexp"
	"strings"
)

// variableName is what may stand in ${…} (POSIX, Base Definitions 8.1).
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand fills ${NAME} from the environment; $${ is a plain ${. What a LINKBEAT_ variable holds is taken as it is.
// expanded is true when something was filled in; ok is false after a fault.
func (d *decoder) expand(a at, text string) (out string, expanded, ok bool) {
	if d.variable != "" || !strings.Contains(text, "${") {
		return text, false, true
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		if !found {
			b.WriteString(before)
			return b.String(), expanded, true
		}
		if plain, escaped := strings.CutSuffix(before, "$"); escaped {
			b.WriteString(plain + "${")
			text = rest
			continue
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || !variableName.MatchString(name) {
			d.fault(a, "holds ${ without a variable's name and }: write ${NAME}, or $${ for a plain ${")
			return "", false, false
		}
		value, set := "", false
		if d.env != nil {
			value, set = d.env(name)
		}
		if !set {
			d.fault(a, "the environment variable %s is not set", name)
			return "", false, false
		}
		b.WriteString(before + value)
		text, expanded = after, true
	}
}

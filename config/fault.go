package config

import (
	"fmt"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/linkbeat/linkbeat/agent/printable"
)

// Fault is one thing wrong, or one warning, in a document.
type Fault struct {
	Path    string // as in uplink.servers[0].url; "" for the document as a whole
	Line    int    // in the file, from 1; 0 when nothing in the file says it
	Env     string // the variable at fault, when it is not the file
	Device  string // the serial device that the fault is confined to; "" when it is not
	Message string // what is wrong and what to do; never holds a secret
	Exposed bool   // others can read a secret: not only the log says it, but the status too

	pos *pos
}

// pos is where a key stands, so that it can be taken out.
type pos struct {
	line   int
	env    string     // set by this variable instead
	parent *yaml.Node // the mapping or list that holds it; nil when nothing does
	child  *yaml.Node // what to take out of parent: a value, with its key
}

// String is the fault in one line, as in "line 12: uplink.window: must be at most 1024".
func (f Fault) String() string {
	text := f.Message
	if f.Path != "" {
		text = f.Path + ": " + text
	}
	if strings.Contains(text, "\n") {
		text = oneLine(text)
	}
	switch text = printable.Line(text); {
	case f.Env != "":
		return f.Env + ": " + text
	case f.Line > 0:
		return fmt.Sprintf("line %d: %s", f.Line, text)
	default:
		return text
	}
}

// Faults is everything wrong with a document, in the order of the file.
type Faults []Fault

// Error has one line per fault.
func (f Faults) Error() string { return strings.Join(f.Lines(), "\n") }

// Lines are the faults, one a line: no other line feed is in Error.
func (f Faults) Lines() []string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return lines
}

// Sentence is the faults in one line for a status: the first, and how many more; "" without any.
func (f Faults) Sentence() string {
	switch len(f) {
	case 0:
		return ""
	case 1:
		return oneLine(f[0].String())
	default:
		return fmt.Sprintf("%s (and %d more)", oneLine(f[0].String()), len(f)-1)
	}
}

// oneLine joins lines: some messages hold the words of others.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func (f Faults) sort() {
	sort.SliceStable(f, func(i, j int) bool {
		a, b := f[i].Line, f[j].Line
		if (a == 0) != (b == 0) { // what is missing comes last
			return b == 0
		}
		return a < b
	})
}

// devices are the names of the serial devices that faults are confined to; all is true when there is no other fault.
func (f Faults) devices() (names map[string]Faults, all bool) {
	names, all = map[string]Faults{}, true
	for _, fault := range f {
		if fault.Device == "" {
			all = false
			continue
		}
		names[fault.Device] = append(names[fault.Device], fault)
	}
	return names, all
}

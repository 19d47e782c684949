package config

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds on looking for the line of a mistake, which reads the file once per line.
const (
	maxSearchBytes = 64 << 10
	maxSearchLines = 1000
)

// yamlLine is how the YAML library begins a message. Its line is that of the block around the mistake, and off by one for
// some of them.
var yamlLine = regexp.MustCompile(`^line (\d+): `)

// syntaxFault is a file that is not YAML.
func syntaxFault(src []byte, err error) *Fault {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	f := &Fault{Line: mistakeLine(src)}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = strings.TrimPrefix(text, m[0])
		if f.Line == 0 {
			f.Line, _ = strconv.Atoi(m[1])
		}
	}
	if strings.HasPrefix(text, "unknown anchor") { // its name may be half of a password
		text = "unknown anchor: a text that starts with * needs quotes"
	}
	f.Message = "not YAML from here on: " + text
	return f
}

// mistakeLine is the line after the longest part of src, in whole lines, that is YAML by itself: where what goes wrong
// begins. 0 when src is too long to look for it.
func mistakeLine(src []byte) int {
	n := bytes.Count(src, []byte("\n")) + 1
	if len(src) > maxSearchBytes || n > maxSearchLines {
		return 0
	}
	end := len(src)
	for ; n > 1; n-- {
		end = bytes.LastIndexByte(src[:end], '\n')
		var doc yaml.Node
		if yaml.Unmarshal(src[:end], &doc) == nil {
			return n
		}
	}
	return 1
}

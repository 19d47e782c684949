package config

import (
	"bytes"
	_ "embed" // template.yaml
)

//go:embed template.yaml
var template []byte

// Template is a full document with comments: every key with its default, and a server and a serial device as examples.
func Template() []byte { return bytes.Clone(template) }

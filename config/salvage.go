package config

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// salvage takes what is at fault out of a tree, key by key, until the rest is sound; each round takes out at least one.
// It fails when what is missing cannot be taken out: no server is left.
func salvage(root *yaml.Node, o ParseOptions) (Booted, bool) {
	skip := map[string]bool{}
	for {
		b, ok := accept(root, o, skip)
		if ok {
			b.Origin = FromSalvage
			return b, true
		}
		progress := skipFaulty(b.Faults, skip)
		for _, f := range b.Faults {
			if f.Env == "" && f.Device == "" {
				progress = takeOut(f.pos) || progress
			}
		}
		if !progress {
			return Booted{}, false
		}
	}
}

// takeOut removes a value, and its key, from what holds it; false when it is gone already.
func takeOut(p *pos) bool {
	if p == nil || p.parent == nil {
		return false
	}
	i := slices.Index(p.parent.Content, p.child)
	if i < 0 {
		return false
	}
	first := i
	if p.parent.Kind == yaml.MappingNode {
		first = i - i%2
	}
	p.parent.Content = slices.Delete(p.parent.Content, first, i+1)
	return true
}

// stateDirLine finds the state directory in a file that is not YAML any more.
var stateDirLine = regexp.MustCompile(`(?m)^state_dir:[ \t]*["']?(/[^"'#\r\n]*?)["']?[ \t]*(?:#.*)?\r?$`)

// stateDir is the state directory, from the first that has one: the variable, the tree, the text, the default.
func stateDir(src []byte, root *yaml.Node, o ParseOptions) string {
	for _, entry := range o.Environ {
		if dir, ok := strings.CutPrefix(entry, envPrefix+"STATE_DIR="); ok && path.IsAbs(dir) {
			return dir
		}
	}
	if root != nil {
		if doc := build(root, o, nil).doc; path.IsAbs(doc.StateDir) {
			return doc.StateDir
		}
		return DefaultStateDir
	}
	if m := stateDirLine.FindSubmatch(src); m != nil && !strings.Contains(string(m[1]), "${") {
		return string(m[1])
	}
	return DefaultStateDir
}

package config

import "go.yaml.in/yaml/v3"

// pair is one key of a mapping.
type pair struct {
	key   string
	value *yaml.Node
	pos   *pos
}

// pairs lists a mapping's keys in order and reports duplicates; of those the first counts. "<<" merges other mappings in
// (YAML 1.1 merge keys), beneath what the mapping says itself.
func (d *decoder) pairs(a at, n *yaml.Node) []pair { return d.collect(a, n, false) }

// namedPairs is pairs for a map whose keys are serial devices: a duplicate there is the fault of that device.
func (d *decoder) namedPairs(a at, n *yaml.Node) []pair { return d.collect(a, n, a.path == "serial") }

func (d *decoder) collect(a at, n *yaml.Node, devices bool) []pair {
	var list []pair
	seen := map[string]int{} // key → line
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		p := &pos{line: key.Line, env: d.variable, parent: n, child: value}
		if key.Kind != yaml.ScalarNode {
			d.fault(at{path: a.path, pos: p}, "has a key that is not a plain word")
			continue
		}
		if key.Tag == "!!merge" {
			merged = append(merged, value)
			continue
		}
		if first, ok := seen[key.Value]; ok {
			if devices {
				d.device = key.Value
			}
			d.fault(a.child(key.Value, p, ""), "duplicate key, first on line %d", first)
			if devices {
				d.device = ""
			}
			continue
		}
		seen[key.Value] = key.Line
		list = append(list, pair{key.Value, value, p})
	}
	for _, m := range merged {
		list = d.merge(a, n, m, seen, list)
	}
	return list
}

// merge adds the keys of m, a mapping or a list of mappings, that are not there yet. Their position is that of the merge:
// the text merged in may belong to another section.
func (d *decoder) merge(a at, into, m *yaml.Node, seen map[string]int, list []pair) []pair {
	p := &pos{line: m.Line, env: d.variable, parent: into, child: m}
	if m.Kind == yaml.AliasNode {
		m = m.Alias
	}
	sources := []*yaml.Node{m}
	if m.Kind == yaml.SequenceNode {
		sources = m.Content
	}
	for _, source := range sources {
		if d.nodes++; d.nodes > maxNodes {
			break
		}
		if source.Kind == yaml.AliasNode {
			source = source.Alias
		}
		if source.Kind != yaml.MappingNode {
			d.fault(at{path: join(a.path, "<<"), pos: p}, "must name a mapping, such as *anchor")
			continue
		}
		for i := 0; i+1 < len(source.Content); i += 2 {
			key, value := source.Content[i], source.Content[i+1]
			if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
				d.fault(at{path: join(a.path, "<<"), pos: p}, "must name a mapping of plain keys without a merge of its own")
				continue
			}
			if _, ok := seen[key.Value]; ok {
				continue
			}
			if d.nodes++; d.nodes > maxNodes {
				break
			}
			seen[key.Value] = key.Line
			list = append(list, pair{key.Value, value, p})
		}
	}
	return list
}

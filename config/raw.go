package config

import "go.yaml.in/yaml/v3"

// Raw is a part of the document that this version keeps but does not understand.
type Raw struct{ node *yaml.Node }

// IsZero is true when there is nothing in it: absent, null, {} or [].
func (r Raw) IsZero() bool {
	return r.node == nil || r.node.Tag == "!!null" || r.node.Kind != yaml.ScalarNode && len(r.node.Content) == 0
}

// MarshalYAML writes it as it was read.
func (r Raw) MarshalYAML() (any, error) {
	if r.IsZero() {
		return []string{}, nil
	}
	return r.node, nil
}

// text is the part in one line or more, for comparing.
func (r Raw) text() string {
	if r.IsZero() {
		return ""
	}
	p, err := yaml.Marshal(r.node)
	if err != nil {
		return err.Error()
	}
	return string(p)
}

// bare copies a node without lines, comments and anchors, so that two are equal when they say the same.
func bare(n *yaml.Node) *yaml.Node {
	c := &yaml.Node{Kind: n.Kind, Style: n.Style, Tag: n.Tag, Value: n.Value}
	for _, child := range n.Content {
		c.Content = append(c.Content, bare(child))
	}
	return c
}

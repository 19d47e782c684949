package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// maxTemplate bounds a topic template, in bytes; MQTT allows 65535 after expansion.
const maxTemplate = 1024

// placeholdersOf is what each template needs.
func placeholdersOf() map[string][]string {
	return map[string][]string{
		"state": {"id"}, "info": {"id"}, "log": {"id"}, "stats": {"id"}, "reported": {"id"}, "config": {"id"},
		"data": {"id", "name"}, "reply": {"id", "name"}, "cmd": {"id", "name"}, "group": {"group"}, "probe": {"id", "n"},
	}
}

func (c *checker) checkTopics() {
	needs, owner := placeholdersOf(), map[string]string{}
	v := reflect.ValueOf(c.doc.Topics)
	for f, field := range v.Fields() {
		key, text := keyOf(f), field.String()
		c.template("topics."+key, text, needs[key], true)
		if first, ok := owner[text]; ok {
			c.bad(c.ownOf("topics."+key, "topics."+first), "topics.%s and topics.%s are the same", first, key)
		}
		owner[text] = key
	}
}

// template checks that text has exactly the placeholders it needs, and, for a topic, that its levels are sound.
func (c *checker) template(path, text string, needs []string, topic bool) {
	if len(text) > maxTemplate {
		c.bad(path, "has %d bytes, at most %d", len(text), maxTemplate)
		return
	}
	if topic && strings.ContainsAny(text, "+#\x00") {
		c.bad(path, "must not hold the wildcards + and #: placeholders do that")
		return
	}
	found, err := placeholders(text, needs)
	if err != nil {
		c.bad(path, "%s", err)
		return
	}
	for _, need := range needs {
		if !slices.Contains(found, need) {
			c.bad(path, "needs the placeholder {%s}", need)
			return
		}
	}
	if topic {
		c.levels(path, text)
	} else if strings.ContainsAny(text, "/+#$ \t\r\n\x00") {
		c.bad(path, "must not hold / + # $ or spaces")
	}
}

func (c *checker) levels(path, text string) {
	for level := range strings.SplitSeq(text, "/") {
		if level == "" {
			c.bad(path, "has an empty level: no / at the start or the end, no //")
			return
		}
		if strings.Count(level, "{") > 1 {
			c.bad(path, "has two placeholders in one level: put a / between them")
			return
		}
	}
}

// placeholders lists the {…} of a template; each must be one of known.
func placeholders(text string, known []string) ([]string, error) {
	var found []string
	for {
		before, rest, open := strings.Cut(text, "{")
		if strings.Contains(before, "}") {
			return nil, fmt.Errorf("has a } without a {")
		}
		if !open {
			return found, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || !slices.Contains(known, name) {
			return nil, fmt.Errorf("knows only the placeholders {%s} here", strings.Join(known, "}, {"))
		}
		found, text = append(found, name), after
	}
}

package wire

import "testing"

func TestTopicsTakeApartWhatTheyMade(t *testing.T) {
	topics := DefaultTopics().For("gw-0017")
	topic := Expand(topics.Data, "name", "meter")
	if topic != "lb/gw-0017/up/data/meter" {
		t.Fatalf("data topic %q", topic)
	}
	vars, ok := Match(DefaultTopics().Data, topic)
	if !ok || vars["id"] != "gw-0017" || vars["name"] != "meter" {
		t.Fatalf("match: %v %v", vars, ok)
	}
	if f := Filter(topics.Cmd) + WriteSuffix; f != "lb/gw-0017/dn/cmd/+/write" {
		t.Fatalf("filter %q", f)
	}
}

func TestEcho(t *testing.T) {
	for text, is := range map[string]bool{`{"echo":"0123456789abcdef"}`: true, "": false, `{"echo":"0123456789abcdef"} `: false,
		`{"echo":"0123456789abcde"}`: false, `{"echo":"0123456789abcdeg"}`: false, `{"seq":1,"text":"x"}`: false} {
		if IsEcho([]byte(text)) != is {
			t.Errorf("%s: not %v", text, is)
		}
	}
}

func TestMatchRefuses(t *testing.T) {
	for name, c := range map[string][2]string{
		"shorter":          {"a/{id}/b", "a/x"},
		"other literal":    {"a/{id}/b", "a/x/c"},
		"empty value":      {"a/p-{id}/b", "a/p-/b"},
		"differs from one": {"{id}/{id}", "x/y"},
	} {
		if vars, ok := Match(c[0], c[1]); ok {
			t.Errorf("%s: matched %v", name, vars)
		}
	}
	if vars, ok := Match("a/p-{id}-s/b", "a/p-7-s/b"); !ok || vars["id"] != "7" {
		t.Errorf("prefix and suffix: %v %v", vars, ok)
	}
}

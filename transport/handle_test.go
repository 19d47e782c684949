package transport

import "testing"

func TestFilterMatches(t *testing.T) {
	for _, tt := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/c", false}, {"a/+", "a/b", true}, {"a/+", "a", false}, {"a/+", "a/b/c", false},
		{"a/#", "a", true}, {"a/#", "a/b/c", true}, {"#", "a/b", true}, {"#", "$SYS/x", false}, {"+/x", "$SYS/x", false},
		{"$SYS/#", "$SYS/x", true}, {"+/+", "/a", true}, {"+", "/a", false}, {"$share/g/a/+", "a/b", true}, {"a", "a/b", false},
		{"a/+/c", "a//c", true},
	} {
		if got := matches(tt.filter, tt.topic); got != tt.want {
			t.Errorf("%s takes %s: %v", tt.filter, tt.topic, got)
		}
	}
}

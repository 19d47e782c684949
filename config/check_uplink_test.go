package config

import "testing"

func TestMayBe(t *testing.T) {
	for _, c := range []struct {
		id, user string
		may      bool
	}{
		{"gw-1", "gw-1", true}, {"gw-1", "meters", false}, {"{hostname}", "anything", true}, {"gw-{hostname}", "gw-x", true},
		{"gw-{hostname}", "meters", false}, {"{hostname}-{mac6}", "north-0a1b2c", true}, {"{hostname}-{mac6}", "gw-0017", false},
		{"{hostname}-{mac6}", "0a1b2c", false}, {"{mac6}", "0a1b2c", true}, {"{mac6}-gw", "0a1b2c-gw", true},
		{"{mac6}-gw", "xyz-gw", false}, {"a-{mac6}-{hostname}", "b-1-x", true},
		{"gw-{mac6}", "gw-", false},
	} {
		if mayBe(c.id, c.user) != c.may {
			t.Errorf("%s, %s: not %v", c.id, c.user, c.may)
		}
	}
}

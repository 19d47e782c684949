package transport

import (
	"fmt"
	"slices"
	"testing"
)

func TestRanks(t *testing.T) {
	servers := []Server{{URL: "mqtt://a", Rank: 2}, {URL: "mqtt://b", Rank: 1}, {URL: "mqtt://c", Rank: 1}, {URL: "mqtt://d"}}
	first := map[URL]int{}
	for i := range 1000 {
		o := Options{ClientID: fmt.Sprint("gw-", i), Servers: slices.Clone(servers)}
		if ranks := o.rank(); !slices.Equal(ranks, []int{1, 1, 2, 4}) || o.Servers[2].URL != "mqtt://a" ||
			o.Servers[3].URL != "mqtt://d" {
			t.Fatalf("%v, %v", ranks, o.Servers)
		}
		first[o.Servers[0].URL]++
	}
	if b := first["mqtt://b"]; b < 400 || b > 600 {
		t.Errorf("equal servers share the gateways %v", first)
	}
}

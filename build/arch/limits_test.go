package main

import (
	"slices"
	"strings"
	"testing"
)

func TestRoomsKeepWithinTheirLimits(t *testing.T) {
	for _, sentence := range Breaches(product(Rooms(sources(t))), Exceptions()) {
		t.Error(sentence)
	}
}

func TestBreaches(t *testing.T) {
	full := Room{Package: "config", Files: filesMax + 1}
	wide := Room{Package: "agent", Files: 3, Types: []Type{{Name: "site", Methods: methodsMax, Fields: 90, Lines: structMax + 1}}}
	busy := Room{Package: "agent", Files: filesMax, Types: []Type{{Name: "site", Methods: methodsMax + 2, Lines: structMax}}}
	tests := []struct {
		name       string
		rooms      []Room
		exceptions []Exception
		want       []string // a part of each sentence, in order
	}{
		{"all at the limit",
			[]Room{{Package: "a", Files: filesMax, Types: []Type{{Name: "T", Methods: methodsMax, Lines: structMax}}}}, nil, nil},
		{"too many files", []Room{full}, nil, []string{"config: 26 source files"}},
		{"an exception covers it", []Room{full}, []Exception{{Files, "config", 26, "one cohesive engine"}}, nil},
		{"an exception that was outgrown", []Room{full}, []Exception{{Files, "config", 25, "one cohesive engine"}},
			[]string{"its exception ends at 25"}},
		{"an exception of another thing", []Room{full}, []Exception{{Methods, "config", 26, "one"}},
			[]string{"config: 26 source files", "config keeps within the limit of 30 methods"}},
		{"a struct with too many lines", []Room{wide}, nil, []string{"agent.site: 41 lines of a struct"}},
		{"a type with too many methods", []Room{busy}, nil, []string{"agent.site: 32 methods of a type"}},
		{"an exception that nobody needs", []Room{busy}, []Exception{{Methods, "agent.site", 32, "x"}, {Files, "agent", 30, "x"}},
			[]string{"agent keeps within the limit of 25 source files"}},
		{"an exception without a reason", []Room{full}, []Exception{{Files, "config", 26, " "}}, []string{"gives no reason"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Breaches(tt.rooms, tt.exceptions)
			if !slices.EqualFunc(got, tt.want, strings.Contains) {
				t.Errorf("Breaches = %q, want sentences with %q", got, tt.want)
			}
		})
	}
}

package main

import (
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestTooWide(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	for name, c := range map[string]struct {
		line string
		want bool
	}{
		"as wide as may be":        {x(60) + " " + x(69), false},
		"one more":                 {x(60) + " " + x(70), true},
		"a tab is four":            {"\t" + x(60) + " " + x(66), true},
		"characters, not bytes":    {strings.Repeat("é", 60) + " " + x(69), false},
		"one word":                 {x(131), true},
		"a directive":              {"//go:generate " + x(130), false},
		"a URL in a comment":       {"\t// https://example.net/" + x(130), false},
		"a URL in quotes":          {"\t\"https://example.net/" + x(130) + "\",", false},
		"a URL in a script":        {"# https://example.net/" + x(130), false},
		"a URL and a word":         {"// see https://example.net/" + x(130), true},
		"the help of a target":     {"all: setup ## " + x(130), false},
		"a target without a help":  {"all: setup " + x(130), true},
		"a comment in a script":    {"# " + x(130), true},
		"a command behind a label": {"\tall: ## " + x(130), true},
	} {
		if got := tooWide(c.line); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestWideLinesNameTheirPlace(t *testing.T) {
	wide := strings.Repeat("word ", 27)
	got := wideLines("a/b.go", "short\n"+wide+"\n"+wide+"\n", map[int]bool{3: true})
	if len(got) != 1 || !strings.HasPrefix(got[0], "a/b.go:2: 135 columns, the limit is 130: break it") {
		t.Error(got)
	}
}

func TestHeldLines(t *testing.T) {
	const text = "package p\n" +
		"type t struct {\n" +
		"\ta int `json:\"a\"`\n" + // 3, a tag
		"\tb int `json:\"b\"` // the comment can stand above\n" +
		"}\n" +
		"var short, long = `short`, \"\" +\n" +
		"\t`LONG`\n" + // 7, fills a line alone
		"var several = f(`one\n" + // 8 to 10
		"two\n" +
		"three`, 4)\n"
	s := Source{Fset: token.NewFileSet(), Text: []byte(strings.Replace(text, "LONG", strings.Repeat("x", 121), 1))}
	var err error
	if s.File, err = parser.ParseFile(s.Fset, "p.go", s.Text, parser.ParseComments); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(s.heldLines())); !slices.Equal(got, []int{3, 7, 8, 9, 10}) {
		t.Error(got)
	}
}

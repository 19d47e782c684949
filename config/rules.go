package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
)

// checkRules applies the tags oneof, from, min and max of a field.
func checkRules(v reflect.Value, rules reflect.StructTag) error {
	if words := rules.Get("oneof"); words != "" {
		return checkWord(v.String(), strings.Fields(words))
	}
	if list := rules.Get("from"); list != "" {
		return checkWord(v.String(), wordsFrom(list))
	}
	if low := rules.Get("min"); low != "" && compare(v, low) < 0 {
		return fmt.Errorf("must be at least %s", low)
	}
	if high := rules.Get("max"); high != "" && compare(v, high) > 0 {
		return fmt.Errorf("must be at most %s", high)
	}
	return nil
}

// wordsFrom are the words that another package knows.
func wordsFrom(list string) []string {
	switch list {
	case "framing.Kinds":
		return framing.Types()
	case "framing.Checksums":
		return framing.Checksums()
	case "wire.Formats":
		return wire.Formats()
	}
	panic("config: no list " + list) // a tag of ours is wrong; a test walks every field
}

// checkWord wants one of the words.
func checkWord(word string, words []string) error {
	if slices.Contains(words, word) {
		return nil
	}
	return fmt.Errorf("must be one of %s%s", strings.Join(words, ", "), didYouMean(word, words))
}

// compare sets v beside a limit written as its own type writes it.
func compare(v reflect.Value, limit string) int {
	bound := reflect.New(v.Type())
	var err error
	if t, ok := bound.Interface().(encoding.TextUnmarshaler); ok {
		err = t.UnmarshalText([]byte(limit))
	} else {
		err = setPlain(bound.Elem(), limit)
	}
	if err != nil {
		panic("config: limit " + limit + ": " + err.Error()) // a tag of ours is wrong; a test walks every field
	}
	if v.Kind() == reflect.Float64 {
		switch x, y := v.Float(), bound.Elem().Float(); {
		case x < y:
			return -1
		case x > y:
			return 1
		case x == y:
			return 0
		default:
			return -1 // NaN is below everything
		}
	}
	switch x, y := v.Int(), bound.Elem().Int(); {
	case x < y:
		return -1
	case x > y:
		return 1
	default:
		return 0
	}
}

// didYouMean names the word nearest to a mistyped one, if any is near.
func didYouMean(word string, words []string) string {
	return nearest(word, words, max(1, len(word)/3))
}

// nearest is didYouMean with a bound on how far away the word may be.
func nearest(word string, words []string, most int) string {
	const longest = 64
	if len(word) > longest {
		return ""
	}
	best, distance := "", most+1
	for _, w := range words {
		if n := editDistance(strings.ToLower(word), strings.ToLower(w)); n < distance {
			best, distance = w, n
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// editDistance counts insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
func editDistance(a, b string) int {
	prev2, prev := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev = prev, row
	}
	return prev[len(b)]
}

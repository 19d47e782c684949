// Package strictjson decodes what comes down to a gateway: JSON (RFC 8259) that every reader understands alike. encoding/json
// alone takes the last of two keys, "ID" for "id", and makes one character of every lone surrogate: two readers of one message,
// or two ids, would then not be what their sender meant.
package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a message may have at most.
const (
	MaxBytes = 1 << 20
	MaxDepth = 16   // of objects and arrays in each other
	MaxKeys  = 1024 // in one object
)

// quotedMost is how many bytes of a stranger stand in an error.
const quotedMost = 40

// Unmarshal is json.Unmarshal into v, a pointer, of a p that has at most MaxBytes, is UTF-8 and one JSON value with nothing
// behind it, in which
//
//   - no key of an object stands twice, also in another case, and each key of a struct is written as its tag says;
//   - no string or key holds half of a surrogate pair (RFC 8259 section 8.2);
//   - every number is one of float64, and what v wants;
//   - nothing is deeper than MaxDepth or has more than MaxKeys keys.
//
// Keys that v does not know are passed over, as json.Unmarshal does. The error is a sentence for the sender, about the first
// fault; it holds at most a few bytes of what was sent, quoted. After an error v is not to be used.
func Unmarshal(p []byte, v any) error {
	switch {
	case len(p) > MaxBytes:
		return fmt.Errorf("%d bytes, at most %d", len(p), MaxBytes)
	case !utf8.Valid(p):
		return errors.New("it is not UTF-8: send bytes as hex or base64")
	}
	if err := json.Unmarshal(p, new(json.RawMessage)); err != nil {
		return fmt.Errorf("it is not one JSON value: %w", err)
	}
	s := scanner{p: p}
	if err := s.value(reflect.TypeOf(v), 0); err != nil {
		return err
	}
	err := json.Unmarshal(p, v)
	if kind := (*json.UnmarshalTypeError)(nil); errors.As(err, &kind) { // in words of the sender, who does not know our types
		name := kind.Field[strings.LastIndexByte(kind.Field, '.')+1:] // before it stand names of embedded structs too
		want := kind.Type.Kind().String()
		switch want {
		case "struct", "map":
			want = "object"
		case "slice":
			want = "array"
		}
		return fmt.Errorf("%q must be of type %s, and is %s", clip(name), want, clip(kind.Value))
	}
	return err
}

// clip bounds what an error quotes.
func clip(s string) string {
	if len(s) <= quotedMost {
		return s
	}
	return strings.ToValidUTF8(s[:quotedMost], "") + "…"
}

// fold makes those names equal that encoding/json takes for one: "id", "ID", and letters such as the long s for s.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r {
				return next
			}
			r = next
		}
	}, name)
}

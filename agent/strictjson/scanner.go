package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
)

// scanner walks over p, which is valid JSON: the grammar was seen to, so every value ends where its kind says.
type scanner struct {
	p  []byte
	at int
}

// field is a key that a struct knows.
type field struct {
	name string
	kind reflect.Type
}

// value scans one value that lies within depth others. kind is what it will be decoded into; nil: nothing that has keys of its
// own.
func (s *scanner) value(kind reflect.Type, depth int) error {
	for kind != nil && kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	switch s.space(); s.p[s.at] {
	case '{', '[':
		if depth == MaxDepth {
			return fmt.Errorf("objects and arrays lie deeper than %d in each other", MaxDepth)
		}
		if s.p[s.at] == '{' {
			return s.object(kind, depth+1)
		}
		return s.array(kind, depth+1)
	case '"':
		_, err := s.text()
		return err
	}
	from := s.at
	for s.at < len(s.p) && !strings.ContainsRune(" \t\r\n,]}", rune(s.p[s.at])) {
		s.at++
	}
	word := string(s.p[from:s.at])
	switch word {
	case "true", "false", "null":
		return nil
	}
	if _, err := strconv.ParseFloat(word, 64); err != nil {
		return fmt.Errorf("number %s is out of range", clip(word))
	}
	return nil
}

func (s *scanner) space() {
	for strings.IndexByte(" \t\r\n", s.p[s.at]) >= 0 {
		s.at++
	}
}

// next goes behind the opening bracket or the comma that s is at, and reports whether a member follows; else it is behind the
// closing one.
func (s *scanner) next(closing byte) bool {
	s.space()
	if s.p[s.at] != closing {
		s.at++ // the opening one, or a comma
		if s.space(); s.p[s.at] != closing {
			return true
		}
	}
	s.at++
	return false
}

func (s *scanner) object(kind reflect.Type, depth int) error {
	known, seen := map[string]field{}, map[string]string{}
	var each reflect.Type // of a map
	if kind != nil && kind.Kind() == reflect.Struct {
		fields(kind, known)
	} else if kind != nil && kind.Kind() == reflect.Map {
		each = kind.Elem()
	}
	for s.next('}') {
		key, err := s.text()
		if err != nil {
			return err
		}
		folded := fold(key)
		before, twice := seen[folded]
		f, isKnown := known[folded]
		fault := ""
		switch {
		case twice && before == key:
			fault = "key %[1]q stands twice"
		case twice:
			fault = "keys %[2]q and %[1]q differ only in case"
		case isKnown && f.name != key:
			fault = "key %[1]q must be written %[3]q"
		case len(seen) == MaxKeys:
			fault = "one object has too many keys: %[1]q is one more than allowed"
		case !isKnown:
			f.kind = each
		}
		if fault != "" {
			return fmt.Errorf(fault, clip(key), clip(before), f.name)
		}
		seen[folded] = key
		s.space()
		s.at++ // the colon
		if err := s.value(f.kind, depth); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) array(kind reflect.Type, depth int) error {
	var each reflect.Type
	if kind != nil && (kind.Kind() == reflect.Slice || kind.Kind() == reflect.Array) {
		each = kind.Elem()
	}
	for s.next(']') {
		if err := s.value(each, depth); err != nil {
			return err
		}
	}
	return nil
}

// text scans a string and returns what it says.
func (s *scanner) text() (string, error) {
	from, escaped := s.at, false
	for s.at++; s.p[s.at] != '"'; s.at++ {
		if s.p[s.at] != '\\' {
			continue
		}
		escaped = true
		s.at++
		if s.p[s.at] != 'u' {
			continue
		}
		r := s.unit(s.at + 1)
		if s.at += 4; !utf16.IsSurrogate(r) {
			continue
		}
		if s.p[s.at+1] != '\\' || s.p[s.at+2] != 'u' || utf16.DecodeRune(r, s.unit(s.at+3)) == '\uFFFD' {
			return "", errors.New("a string holds half of a surrogate pair: it stands for no character")
		}
		s.at += 6
	}
	s.at++
	if !escaped {
		return string(s.p[from+1 : s.at-1]), nil
	}
	var text string
	err := json.Unmarshal(s.p[from:s.at], &text)
	return text, err
}

// unit is the UTF-16 code unit whose four hex digits are at i.
func (s *scanner) unit(i int) rune {
	n, _ := strconv.ParseUint(string(s.p[i:i+4]), 16, 16) // the grammar has seen to it
	return rune(n)
}

// fields adds the keys of a struct, by their folded names, those of embedded structs too.
func fields(of reflect.Type, to map[string]field) {
	for i := range of.NumField() {
		f := of.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && tag == "" && f.Type.Kind() == reflect.Struct:
			fields(f.Type, to)
		case !f.IsExported() || tag == "-":
		default:
			if tag == "" {
				tag = f.Name
			}
			to[fold(tag)] = field{tag, f.Type}
		}
	}
}

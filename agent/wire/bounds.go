package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// What is read of a payload, whoever sent it. A gateway's own are far below: up to 255 MiB may be configured, but one that
// large is for other readers than these.
const (
	MaxPayload = 4 << 20 // bytes, inflated
	MaxRecords = 10_000  // of one payload
	MaxMembers = 100_000 // of all its objects and lists: each takes up to a hundred times its bytes in memory
)

// ErrTooMuch is wrapped by what a payload is refused with that has more than is read.
var ErrTooMuch = errors.New("more than is read")

// unmarshal is json.Unmarshal within the bounds. What is no UTF-8 is no JSON (RFC 8259, 8.1); the library would replace it,
// with up to three times its bytes.
func unmarshal(p []byte, v any) error {
	if err := checkBounds(p); err != nil {
		return err
	}
	return json.Unmarshal(p, v)
}

func checkBounds(p []byte) error {
	switch {
	case len(p) > MaxPayload:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooMuch, len(p), MaxPayload)
	case !utf8.Valid(p):
		return errors.New("no UTF-8")
	case members(p) > MaxMembers:
		return fmt.Errorf("%w: at most %d members", ErrTooMuch, MaxMembers)
	}
	return nil
}

// members counts commas and opening brackets outside of strings: no more members than that can be in it.
func members(p []byte) (n int) {
	for inString, i := false, 0; i < len(p); i++ {
		switch c := p[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case !inString && (c == ',' || c == '{' || c == '['):
			n++
		}
	}
	return n
}

// isList is true for what begins as a JSON array.
func isList(p []byte) bool { return firstOf(p) == '[' }

// isJSON is true for what begins as an array or an object: other bytes are counted by no bound of theirs.
func isJSON(p []byte) bool { return isList(p) || firstOf(p) == '{' }

func firstOf(p []byte) byte {
	if first := bytes.TrimLeft(p, " \t\r\n"); len(first) > 0 {
		return first[0]
	}
	return 0
}

// eachOf calls take with each element of a JSON array, decoded into a new T, and stops at the first that is bad or that take
// refuses.
func eachOf[T any](p []byte, take func(*T) error) error {
	if err := checkBounds(p); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(p))
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return errors.New("no array")
	}
	for dec.More() {
		var v T
		if err := dec.Decode(&v); err != nil {
			return err
		}
		if err := take(&v); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return err
	}
	if dec.More() { // behind the array
		return errors.New("more than one array")
	}
	return nil
}

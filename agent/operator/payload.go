package operator

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/wire"
)

// NewCommand makes a write from what a person gave: text, hex digits or base64, the latter two with white space where it helps.
func NewCommand(device, name, encoding, given string) (Command, error) {
	c := Command{Device: device, Name: name, Encoding: wire.Encoding(encoding)}
	body := wire.Body{Text: &given}
	switch dense := strings.Join(strings.Fields(given), ""); c.Encoding {
	case wire.Text:
	case wire.Hex:
		body = wire.Body{Hex: &dense}
	case wire.Base64:
		body = wire.Body{Base64: &dense}
	default:
		return c, fmt.Errorf("encoding %q is not known; known are text, hex and base64", encoding)
	}
	var err error
	if c.Data, err = body.Bytes(); err != nil {
		return c, fmt.Errorf("payload is not %s: %w", encoding, err)
	}
	return c, nil
}

// NewValues makes a write to registers of a unit from what a person gave, each name=value. A value that is no number, true or
// false is a string, quoted or not.
func NewValues(device, name string, given []string) (Command, error) {
	c := Command{Device: device, Name: name, Values: map[string]json.RawMessage{}}
	for _, pair := range given {
		register, text, found := strings.Cut(pair, "=")
		if !found || register == "" {
			return c, fmt.Errorf("%q is not name=value, such as setpoint=21.5", pair)
		}
		if _, twice := c.Values[register]; twice {
			return c, fmt.Errorf("%s is set twice", register)
		}
		value := json.RawMessage(text)
		var v any
		if json.Unmarshal(value, &v) != nil || v == nil {
			v = text
		}
		switch v.(type) {
		case string:
			value, _ = json.Marshal(v) // a string never fails
		case float64, bool:
		default:
			return c, fmt.Errorf("%s: %s is not a number, a string, true or false", register, text)
		}
		c.Values[register] = value
	}
	return c, nil
}

// AppendAnswer adds what a reply brought back, for people: each frame of an answer on a line, text with what could steer a
// terminal escaped; each value as name=value.
func AppendAnswer(dst []byte, r wire.Reply) []byte {
	for _, f := range answerFrames(r) {
		dst = append(append(dst, shown(f)...), '\n')
	}
	for _, name := range slices.Sorted(maps.Keys(r.Values)) {
		dst = fmt.Appendf(dst, "%s=%s\n", printable.Line(name), readable(r.Values[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Bad)) {
		dst = fmt.Appendf(dst, "%s: %s\n", printable.Line(name), printable.Line(r.Bad[name]))
	}
	return dst
}

// AnswerBytes are the bytes of each frame of an answer.
func AnswerBytes(r wire.Reply) (frames [][]byte, err error) {
	for _, f := range answerFrames(r) {
		p, err := f.Bytes()
		if err != nil {
			return nil, fmt.Errorf("answer: %w", err)
		}
		frames = append(frames, p)
	}
	return frames, nil
}

func answerFrames(r wire.Reply) []wire.Body {
	if r.Body == (wire.Body{}) {
		return r.Frames
	}
	return append([]wire.Body{r.Body}, r.Frames...)
}

// shown is a frame as the gateway's configuration has it encoded.
func shown(b wire.Body) string {
	switch {
	case b.Hex != nil:
		return printable.Line(*b.Hex)
	case b.Text != nil:
		p, _ := b.Bytes() // what is no UTF-8 comes as hex digits
		return readable(p)
	case b.Base64 != nil:
		return printable.Line(*b.Base64)
	}
	return ""
}

package agent

import (
	"encoding/json"
	"errors"

	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
)

// measuredOf is readings as they lie in the spool, and travel.
func measuredOf(readings []bridge.Reading, withUnits bool) measured {
	var m measured
	for _, r := range readings {
		if r.Bad != "" {
			if m.Bad == nil {
				m.Bad = map[string]string{}
			}
			m.Bad[r.Name] = r.Bad
			continue
		}
		if m.Values == nil {
			m.Values = map[string]json.RawMessage{}
		}
		m.Values[r.Name] = r.Value.Append(nil)
		if withUnits && r.Unit != "" {
			if m.Units == nil {
				m.Units = map[string]string{}
			}
			m.Units[r.Name] = r.Unit
		}
	}
	return m
}

// errNothing is of values that are none.
var errNothing = errors.New("no values")

// appendValues adds the spool's form of readings.
func appendValues(dst []byte, s stored, readings []bridge.Reading) ([]byte, error) {
	m := measuredOf(readings, s.senML)
	if m.IsZero() {
		return dst, errNothing
	}
	p, err := json.Marshal(m)
	if err != nil {
		return dst, err
	}
	s.values, s.data = true, p
	return s.appendTo(dst), nil
}

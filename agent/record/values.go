package record

import (
	"encoding/json"
	"errors"

	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
)

// MeasuredOf is readings as they lie in the spool, and travel; their units of measure only withUnits.
func MeasuredOf(readings []bridge.Reading, withUnits bool) Measured {
	var m Measured
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

// ErrNoValues: there was no reading.
var ErrNoValues = errors.New("no values")

// AppendValues adds the spool's form of readings to dst; s says the rest. The error is ErrNoValues, or json's.
func AppendValues(dst []byte, s Stored, readings []bridge.Reading) ([]byte, error) {
	m := MeasuredOf(readings, s.Format.HasUnits())
	if m.IsZero() {
		return dst, ErrNoValues
	}
	p, err := json.Marshal(m)
	if err != nil {
		return dst, err
	}
	s.Values, s.Data = true, p
	return s.Append(dst), nil
}

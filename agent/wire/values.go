package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Measured is the result of one poll of a unit: by name a value, or why there is none; never both, never null.
type Measured struct {
	Values map[string]json.RawMessage `json:"values,omitempty"` // numbers, strings and truth values
	Bad    map[string]string          `json:"bad,omitempty"`    // timeout, or the name of a Modbus exception
}

// IsZero is true when it says nothing.
func (m Measured) IsZero() bool { return len(m.Values)+len(m.Bad) == 0 }

// Append adds its JSON to dst.
func (m Measured) Append(dst []byte) []byte { return appendJSON(dst, m) }

func (m Measured) check() error {
	for name, v := range m.Values {
		if v = bytes.TrimSpace(v); len(v) == 0 || !strings.ContainsRune(`"tf-0123456789`, rune(v[0])) {
			return fmt.Errorf("value %q is no number, string or truth value", name)
		}
	}
	return nil
}

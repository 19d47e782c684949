package config

import "fmt"

const hidden = "<secret>"

// Secret is a text that never shows: every way of printing or marshalling it gives "<secret>" ("" when it is empty). The
// text sits behind a pointer, because fmt does not ask the methods of unexported fields.
type Secret struct{ text *string }

// NewSecret hides s.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// Reveal returns the text itself, for the one place that needs it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero is true for the empty secret.
func (s Secret) IsZero() bool { return s.text == nil }

// String hides the text.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return hidden
}

// GoString hides the text.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// Format hides the text from every verb, %x included.
func (s Secret) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') || verb == 'q' {
		_, _ = f.Write([]byte(s.GoString()))
		return
	}
	_, _ = f.Write([]byte(s.String()))
}

// MarshalText hides the text from JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the text.
func (s *Secret) UnmarshalText(p []byte) error {
	*s = NewSecret(string(p))
	return nil
}

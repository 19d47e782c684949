package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const auto = "auto"

// Duration is a time span, written 30s, 10m, 1h30m or 7d. It is never negative.
type Duration time.Duration

// Std is the span as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String is the shortest way to write d exactly, in one unit.
func (d Duration) String() string {
	units := []struct {
		name string
		size Duration
	}{{"d", day}, {"h", 60 * minute}, {"m", minute}, {"s", second}, {"ms", second / 1e3}, {"us", second / 1e6}}
	if d == 0 {
		return "0s"
	}
	for _, u := range units {
		if d%u.size == 0 {
			return strconv.FormatInt(int64(d/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d), 10) + "ns"
}

// MarshalText writes d as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what time.ParseDuration reads, and whole days before it ("7d", "1d12h").
func (d *Duration) UnmarshalText(p []byte) error {
	text := string(p)
	var days int64
	rest := text
	if before, after, ok := strings.Cut(text, "d"); ok && isDigits(before) {
		n, err := strconv.ParseInt(before, 10, 64)
		if err != nil || n > int64(math.MaxInt64/day) {
			return errors.New("is longer than anything")
		}
		days, rest = n, after
	}
	var span time.Duration
	if rest != "" || rest == text {
		var err error
		if span, err = time.ParseDuration(rest); err != nil {
			if isDigits(text) {
				return fmt.Errorf("needs a unit, such as %ss", text)
			}
			return errors.New("must be a duration, such as 30s, 10m, 1h30m or 7d")
		}
	}
	if span < 0 {
		return errors.New("must not be negative")
	}
	total := Duration(days)*day + Duration(span)
	if total < 0 {
		return errors.New("is longer than anything")
	}
	*d = total
	return nil
}

// Size is a number of bytes, written 4096, 64KiB, 1.5MiB or 10MB. It is never negative.
type Size int64

type sizeUnit struct {
	name string
	size Size
}

// sizeUnits has the binary units first: they are what String prefers.
func sizeUnits() []sizeUnit {
	return []sizeUnit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1}}
}

// Int64 is the number of bytes.
func (s Size) Int64() int64 { return int64(s) }

// String is the shortest way to write s exactly, in one unit.
func (s Size) String() string {
	if s == 0 {
		return "0"
	}
	for _, u := range sizeUnits() {
		if s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText writes s as String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a number and one of B, KB, MB, GB (powers of 1000), KiB, MiB, GiB (powers of 1024); without a unit
// it is bytes.
func (s *Size) UnmarshalText(p []byte) error {
	text := strings.TrimSpace(string(p))
	if strings.HasPrefix(text, "-") {
		return errors.New("must not be negative")
	}
	unit := Size(1)
	number := strings.TrimRight(text, "KMGTBikmgtb")
	if name := text[len(number):]; name != "" {
		unit = 0
		for _, u := range sizeUnits() {
			if u.name == name {
				unit = u.size
			}
		}
		if unit == 0 {
			return errors.New("has an unknown unit: use B, KB, MB, GB (powers of 1000) or KiB, MiB, GiB (powers of 1024)")
		}
	}
	n, err := scale(strings.TrimSpace(number), int64(unit))
	if err != nil {
		return err
	}
	*s = Size(n)
	return nil
}

// scale multiplies a decimal number with a unit, exactly for whole numbers.
func scale(number string, unit int64) (int64, error) {
	if isDigits(number) {
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n > math.MaxInt64/unit {
			return 0, errors.New("is larger than anything")
		}
		return n * unit, nil
	}
	whole, part, ok := strings.Cut(number, ".")
	if !ok || !isDigits(whole) || !isDigits(part) {
		return 0, errors.New("must be a size, such as 4096, 64KiB, 1.5MiB or 10MB")
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f*float64(unit) > 1<<62 {
		return 0, errors.New("is larger than anything")
	}
	if unit == 1 {
		return 0, errors.New("must be a whole number of bytes")
	}
	return int64(math.Round(f * float64(unit))), nil
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// AutoDuration is a span, or "auto": left to the program.
type AutoDuration struct {
	Auto     bool
	Duration Duration // 0 when Auto
}

// Or is the span, or what the program chose for auto.
func (a AutoDuration) Or(chosen time.Duration) time.Duration {
	if a.Auto {
		return chosen
	}
	return a.Duration.Std()
}

// MarshalText writes "auto" or the span.
func (a AutoDuration) MarshalText() ([]byte, error) { return marshalAuto(a.Auto, a.Duration) }

// UnmarshalText reads "auto" or a span.
func (a *AutoDuration) UnmarshalText(p []byte) error {
	*a = AutoDuration{Auto: string(p) == auto}
	if a.Auto {
		return nil
	}
	return orAuto(a.Duration.UnmarshalText(p))
}

// AutoSize is a number of bytes, or "auto": left to the program.
type AutoSize struct {
	Auto  bool
	Bytes Size // 0 when Auto
}

// MarshalText writes "auto" or the size.
func (a AutoSize) MarshalText() ([]byte, error) { return marshalAuto(a.Auto, a.Bytes) }

// UnmarshalText reads "auto" or a size.
func (a *AutoSize) UnmarshalText(p []byte) error {
	*a = AutoSize{Auto: string(p) == auto}
	if a.Auto {
		return nil
	}
	return orAuto(a.Bytes.UnmarshalText(p))
}

// AutoRate is a number of bytes a second, written 16KiB/s, or "auto".
type AutoRate struct {
	Auto  bool
	Bytes Size // a second; 0 when Auto
}

// MarshalText writes "auto" or the rate.
func (a AutoRate) MarshalText() ([]byte, error) {
	if a.Auto {
		return []byte(auto), nil
	}
	return []byte(a.Bytes.String() + "/s"), nil
}

// UnmarshalText reads "auto" or a rate; "/s" may be left out.
func (a *AutoRate) UnmarshalText(p []byte) error {
	*a = AutoRate{Auto: string(p) == auto}
	if a.Auto {
		return nil
	}
	return orAuto(a.Bytes.UnmarshalText([]byte(strings.TrimSuffix(string(p), "/s"))))
}

// AutoInt is a count, or "auto": left to the program.
type AutoInt struct {
	Auto bool
	N    int // 0 when Auto
}

// Or is the count, or what the program chose for auto.
func (a AutoInt) Or(chosen int) int {
	if a.Auto {
		return chosen
	}
	return a.N
}

// MarshalText writes "auto" or the count.
func (a AutoInt) MarshalText() ([]byte, error) {
	if a.Auto {
		return []byte(auto), nil
	}
	return []byte(strconv.Itoa(a.N)), nil
}

// UnmarshalText reads "auto" or a count of at least 1.
func (a *AutoInt) UnmarshalText(p []byte) error {
	if *a = (AutoInt{Auto: string(p) == auto}); a.Auto {
		return nil
	}
	n, err := strconv.Atoi(string(p))
	if err != nil || n < 1 {
		return errors.New("must be auto or a whole number of at least 1")
	}
	a.N = n
	return nil
}

// MaxKeepalive is the longest keepalive that CONNECT can carry, 16 bits of seconds (MQTT 3.1.1, 3.1.2.10).
const MaxKeepalive = 65535 * second

// Keepalive is what CONNECT carries: whole seconds, or "auto".
type Keepalive struct {
	Auto     bool
	Duration Duration // 1 s to [MaxKeepalive]; 0 when Auto
}

// MarshalText writes "auto" or the span.
func (k Keepalive) MarshalText() ([]byte, error) { return marshalAuto(k.Auto, k.Duration) }

// UnmarshalText reads "auto", a number of seconds, or a span.
func (k *Keepalive) UnmarshalText(p []byte) error {
	if *k = (Keepalive{Auto: string(p) == auto}); k.Auto {
		return nil
	}
	text := string(p)
	if isDigits(text) {
		text += "s"
	}
	if err := k.Duration.UnmarshalText([]byte(text)); err != nil {
		return errors.New("must be auto or seconds, such as 300 or 300s")
	}
	switch {
	case k.Duration < second || k.Duration > MaxKeepalive:
		return errors.New("must be auto or 1 to 65535 seconds: CONNECT has 16 bits for it")
	case k.Duration%second != 0:
		return errors.New("must be whole seconds: CONNECT knows no parts of one")
	}
	return nil
}

// Sync is how long written bytes may wait for the disk; 0 is "always": each batch.
type Sync Duration

// Std is the span as the standard library has it.
func (s Sync) Std() time.Duration { return time.Duration(s) }

// MarshalText writes "always" or the span.
func (s Sync) MarshalText() ([]byte, error) {
	if s == 0 {
		return []byte("always"), nil
	}
	return []byte(Duration(s).String()), nil
}

// UnmarshalText reads "always" or a span.
func (s *Sync) UnmarshalText(p []byte) error {
	if string(p) == "always" {
		*s = 0
		return nil
	}
	var d Duration
	if err := d.UnmarshalText(p); err != nil {
		return fmt.Errorf("%w, or always", err)
	}
	*s = Sync(d)
	return nil
}

// Canary is "auto", "off", "pair", or the number N of every Nth beat.
type Canary string

// Every is N, or 0 for the words.
func (c Canary) Every() int {
	n, err := strconv.Atoi(string(c))
	if err != nil {
		return 0
	}
	return n
}

// MarshalText writes the word or the number.
func (c Canary) MarshalText() ([]byte, error) { return []byte(c), nil }

// UnmarshalText reads a word or a number of at least 1.
func (c *Canary) UnmarshalText(p []byte) error {
	switch text := string(p); text {
	case auto, "off", "pair":
		*c = Canary(text)
		return nil
	default:
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return errors.New("must be auto, off, pair or a whole number of at least 1")
		}
		*c = Canary(strconv.Itoa(n))
		return nil
	}
}

// Free is what a disk keeps for others: a part of its size, or bytes. One of the two is zero.
type Free struct {
	Percent int // 0 to 99
	Bytes   Size
}

// MarshalText writes the part or the bytes.
func (f Free) MarshalText() ([]byte, error) {
	if f.Percent > 0 {
		return []byte(strconv.Itoa(f.Percent) + "%"), nil
	}
	return []byte(f.Bytes.String()), nil
}

// UnmarshalText reads "10%" or a size.
func (f *Free) UnmarshalText(p []byte) error {
	*f = Free{}
	number, ok := strings.CutSuffix(string(p), "%")
	if !ok {
		if err := f.Bytes.UnmarshalText(p); err != nil {
			return fmt.Errorf("%w, or a part of the disk, such as 10%%", err)
		}
		return nil
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n > 99 {
		return errors.New("must be 0% to 99% in whole numbers, or a size")
	}
	f.Percent = n
	return nil
}

func marshalAuto(isAuto bool, v fmt.Stringer) ([]byte, error) {
	if isAuto {
		return []byte(auto), nil
	}
	return []byte(v.String()), nil
}

func orAuto(err error) error {
	if err != nil {
		return fmt.Errorf("%w, or auto", err)
	}
	return nil
}

// USBInterface is the number of an interface of a USB device. The zero value is any.
type USBInterface struct {
	Set bool
	N   int // 0 to 255
}

// MarshalText writes "any" or the number.
func (i USBInterface) MarshalText() ([]byte, error) {
	if !i.Set {
		return []byte("any"), nil
	}
	return []byte(strconv.Itoa(i.N)), nil
}

// UnmarshalText reads "any" or a number.
func (i *USBInterface) UnmarshalText(p []byte) error {
	if *i = (USBInterface{}); string(p) == "any" {
		return nil
	}
	n, err := strconv.ParseUint(string(p), 10, 8) // bInterfaceNumber is a byte
	if err != nil {
		return errors.New("must be any or 0 to 255")
	}
	*i = USBInterface{Set: true, N: int(n)}
	return nil
}

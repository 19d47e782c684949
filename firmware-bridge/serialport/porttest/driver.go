package porttest

import (
	"fmt"
	"time"
)

// Driver is that of a half-duplex line: it writes down what happens, with the milliseconds since it was made, such as "2 send".
type Driver struct {
	began time.Time
	Log   []string
}

// NewDriver returns one whose time begins now.
func NewDriver() *Driver { return &Driver{began: time.Now()} }

// Note writes down something else.
func (d *Driver) Note(what string) {
	d.Log = append(d.Log, fmt.Sprint(time.Since(d.began).Milliseconds(), " ", what))
}

// Send notes "send" or "listen".
func (d *Driver) Send(on bool) error {
	d.Note(map[bool]string{true: "send", false: "listen"}[on])
	return nil
}

// Close notes "close".
func (d *Driver) Close() error { d.Note("close"); return nil }

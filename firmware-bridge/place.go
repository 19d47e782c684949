package bridge

import (
	"context"
	"time"
)

// Wanted is which port the device is on, in words, before it is found.
func (o *Options) Wanted() string {
	if o.Select.IsZero() {
		return o.Port
	}
	return o.Select.String()
}

// place is where the port is now.
func (d *Device) place() (path string, err error) {
	if d.o.Select.IsZero() {
		return d.o.Port, nil
	}
	return d.o.Finder.Find(d.o.Select)
}

// mark is another one when the port was plugged in anew; empty while there is none.
func (d *Device) mark() string {
	path, err := d.place()
	if err != nil {
		return ""
	}
	if d.o.Select.IsZero() {
		return d.node(path)
	}
	return path + " " + d.node(path)
}

// session finds the port, opens it, and serves it until it is lost or ctx ends. The error says why; lived is how long it was open.
func (d *Device) session(ctx context.Context) (lived time.Duration, err error) {
	path, err := d.place()
	if err != nil {
		return 0, err
	}
	release, err := d.o.Finder.Claim(path, d.o.Name)
	if err != nil {
		return 0, err
	}
	defer release()
	port, err := d.o.Open(ctx, path, d.o.line())
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if !d.o.Select.IsZero() {
		present, stop := d.o.Finder.WhilePresent(ctx, d.o.Select, path)
		defer stop()
		ctx = present
	}
	d.monitor.found(path, port)
	defer d.monitor.closed()
	err = d.serve(ctx, port)
	return time.Since(began), err
}

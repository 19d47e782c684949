package bridge

import (
	"context"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
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
	d.found(path, port)
	defer d.lost()
	err = d.serve(ctx, port)
	return time.Since(began), err
}

// found is called when a port was opened.
func (d *Device) found(path string, port serialport.Port) {
	lines, _ := port.(serialport.ErrorCounter)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status.Port = path
	d.lines.port = lines
}

// lost is called when the port was closed.
func (d *Device) lost() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines.past, d.lines.now, d.lines.port = d.lines.past.Add(d.lines.now), serialport.LineErrors{}, nil
}

// lineCount adds up the errors of a line over reopens.
type lineCount struct {
	port  serialport.ErrorCounter // nil: closed, or it counts none
	known bool                    // a port counted some time
	now   serialport.LineErrors   // of this session
	past  serialport.LineErrors   // of those before
}

func (c *lineCount) sum() *serialport.LineErrors {
	if !c.known {
		return nil
	}
	all := c.past.Add(c.now)
	return &all
}

// countLine asks the port, without the lock: it is a system call.
func (d *Device) countLine() {
	d.mu.Lock()
	port := d.lines.port
	d.mu.Unlock()
	if port == nil {
		return
	}
	if e, ok := port.LineErrors(); ok {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.lines.port == port { // not one that was lost meanwhile
			d.lines.now, d.lines.known = e, true
		}
	}
}

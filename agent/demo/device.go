package demo

import (
	"bufio"
	"bytes"
	"context"
	_ "embed" // the recording
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/creack/pty"
)

// recording is a u-blox NEO-M8N on its line, from gpsd's test data (testdata/COPYING).
//
//go:embed testdata/neo-m8n.log
var recording []byte

// byteTime is how long a byte takes at 9600 baud, 8N1: the pace of the receiver that was recorded.
const byteTime = 10 * time.Second / 9600

// device is a pseudo-terminal that plays the recording, again and again, and counts the commands that are written to it.
type device struct {
	tally        *tally
	lines        [][]byte
	master, port *os.File // port stays open here too, so that the line never hangs up

	mu     sync.Mutex
	paused bool
	resume chan struct{}   // closed when paused ends
	heard  map[string]bool // commands
}

func newDevice(t *tally) (*device, error) {
	master, port, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("pseudo-terminal: %w; is /dev/pts mounted?", err)
	}
	return &device{tally: t, lines: lines(recording), master: master, port: port, heard: map[string]bool{}}, nil
}

// lines cuts a recording as the framer does, without the notes of whoever recorded it.
func lines(b []byte) (all [][]byte) {
	for line := range bytes.Lines(b) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 && line[0] != '#' {
			all = append(all, line)
		}
	}
	return all
}

// play writes lines at the receiver's pace until ctx ends. It never leaves a line half written.
func (d *device) play(ctx context.Context) error {
	due := time.Now()
	for i := 0; ; i = (i + 1) % len(d.lines) {
		if d.wait(ctx) {
			due = time.Now()
		}
		timer := time.NewTimer(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		line := d.lines[i]
		if _, err := d.master.Write(append(line[:len(line):len(line)], "\r\n"...)); err != nil {
			return fmt.Errorf("device: %w", err)
		}
		d.tally.send(line)
		due = due.Add(time.Duration(len(line)+2) * byteTime)
	}
}

// wait waits while the device is paused and reports whether it was.
func (d *device) wait(ctx context.Context) (waited bool) {
	for {
		d.mu.Lock()
		paused, resume := d.paused, d.resume
		d.mu.Unlock()
		if !paused || ctx.Err() != nil {
			return waited
		}
		waited = true
		select {
		case <-resume:
		case <-ctx.Done():
		}
	}
}

// pause stops the device after its line, or lets it go on.
func (d *device) pause(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case on && !d.paused:
		d.paused, d.resume = true, make(chan struct{})
	case !on && d.paused:
		d.paused = false
		close(d.resume)
	}
}

// listen notes the commands that the agent writes, until the terminal is closed.
func (d *device) listen() {
	scanner := bufio.NewScanner(d.master)
	for scanner.Scan() {
		line := strings.TrimSpace(scanner.Text())
		if !strings.HasPrefix(line, commandPrefix) {
			continue
		}
		d.mu.Lock()
		d.heard[line] = true
		d.mu.Unlock()
	}
}

// count returns how many different commands were written to the device.
func (d *device) count() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int64(len(d.heard))
}

func (d *device) close() {
	_ = d.port.Close()
	_ = d.master.Close()
}

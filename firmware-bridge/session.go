package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// openAndServe finds the port, opens it, and serves it until it is lost or ctx ends. The error says why; lived is how long it
// was open.
func (d *Device) openAndServe(ctx context.Context) (lived time.Duration, err error) {
	path, err := d.locator.locate()
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
	d.monitor.portOpened(path, port)
	defer d.monitor.portClosed()
	err = d.serve(ctx, port)
	return time.Since(began), err
}

// serve reads and writes one open port until it is lost or ctx ends, and closes it. The error says why it was lost.
func (d *Device) serve(ctx context.Context, port serialport.Port) error {
	framer, err := framing.New(d.o.Framing)
	if err != nil {
		_ = port.Close()
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// only closing the port releases a Read or a Write that waits
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		<-ctx.Done()
		d.monitor.countLine() // for the last time: the driver forgets its counters
		_ = port.Close()
	}()
	d.line.reapply(port, d.holder.Load())
	d.monitor.opened()
	d.line.restore(port, d.holder.Load()) // a hold that ended in between could not wake the writer
	read, stats := func() error { return d.readLoop(ctx, port, framer) }, framer.Stats
	write := func() error { return d.writeLoop(ctx, port) }
	if d.bus != nil {
		m := newMaster(d, port)
		read, stats = func() error { return m.readLoop(ctx) }, m.sessionStats
		write = func() error { return m.run(ctx) }
	}
	written := make(chan struct{})
	var writeErr error
	go func() {
		defer close(written)
		writeErr = write()
		cancel(writeErr)
	}()
	readErr := read()
	cancel(readErr)
	<-closed
	<-written
	d.monitor.ended(stats())
	if errors.Is(writeErr, serialport.ErrAborted) { // the error of the reader is a consequence of it
		return writeErr
	}
	return context.Cause(ctx)
}

// readLoop moves frames from the port to OnFrame until the port fails. A frame that only waits for a silence then is complete
// without it.
func (d *Device) readLoop(ctx context.Context, port serialport.Port, framer framing.Framer) error {
	buf := make([]byte, serialport.ReadSize)
	for {
		until := framer.Wake()
		n, err := port.Read(buf, until)
		now := time.Now()
		d.taps.passed(now, false, buf[:n])
		if n > 0 {
			d.listening.bytesRead(now)
		}
		framer.Feed(now, buf[:n])
		d.deliver(ctx, now, framer)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			last, stop := context.WithTimeout(context.WithoutCancel(ctx), lastSearch)
			defer stop()
			if ctx.Err() == nil || !d.o.Framing.SilenceAlone() { // if we close the port, nothing says that the frame had ended
				framer.End()
				d.deliver(last, now, framer)
			}
			return err
		}
		if n == 0 && until.IsZero() {
			return fmt.Errorf("read: %w", io.ErrNoProgress)
		}
	}
}

// deliver hands over all frames that are complete. It ends with ctx, as the search for one in much noise may take long.
func (d *Device) deliver(ctx context.Context, now time.Time, framer framing.Framer) {
	for {
		data, err := framer.Next(now)
		if data == nil && err == nil || err != nil && ctx.Err() != nil {
			d.monitor.count(framer.Stats())
			return
		}
		if err != nil {
			continue // counted by the framer
		}
		refused := d.o.OnFrame(Frame{Device: d.o.Name, Time: framer.Start(), Data: data})
		d.monitor.framed(framer.Stats(), refused)
		d.listening.frameRead(framer.Start(), data)
	}
}

// writeLoop writes what is queued until the port fails, which it returns, or ctx ends.
func (d *Device) writeLoop(ctx context.Context, port serialport.Port) error {
	silence := d.o.Framing.Silence()
	d.listening.end() // the answer to a request of an earlier session does not come any more
	for {
		select {
		case <-ctx.Done():
			return nil
		case w := <-d.queue:
			if w.hold != nil {
				err, fatal := d.carryOut(port, w)
				if w.done(Answer{}, err); fatal {
					return err
				}
				continue
			}
			if w.isRequest {
				d.listening.awaitLate(ctx)
			}
			if !w.expires.IsZero() && time.Now().After(w.expires) {
				w.done(Answer{}, fmt.Errorf("device %q: %w", d.o.Name, ErrExpired))
				continue
			}
			answer, err := d.carry(ctx, port, w)
			w.done(answer, d.o.writeError(err, port))
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, ErrNoAnswer) {
				return err
			}
			if silence > 0 {
				sleep(ctx, silence) // else the device would take two frames for one
			}
		}
	}
}

// put writes all of data and waits until it has left the machine.
func (d *Device) put(port serialport.Port, data []byte) error {
	until := time.Now().Add(d.o.WriteTimeout + 2*d.o.onLine(len(data)))
	if err := d.push(port, data, until); err != nil {
		return err
	}
	return port.Drain(until)
}

// onLine is how long so many bytes take on the line.
func (o *Options) onLine(bytes int) time.Duration { return time.Duration(bytes) * o.Framing.CharTime }

// push hands all of data to the driver. On a half-duplex line that we switch, it also waits for the last byte, and then listens
// again.
func (d *Device) push(port serialport.Port, data []byte, until time.Time) error {
	for len(data) > 0 {
		n, err := port.Write(data, until)
		d.monitor.wrote(n)
		d.taps.passed(time.Now(), true, data[:max(n, 0)])
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("write: %w", io.ErrNoProgress)
		}
		data = data[n:]
	}
	if _, ours := port.(*serialport.HalfDuplex); ours {
		return port.Drain(until)
	}
	return nil
}

// writeError is the error of a write as its caller gets it. A write that got stuck fails, so nothing of it may go out later.
func (o *Options) writeError(err error, port serialport.Port) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrNoAnswer):
		return fmt.Errorf("device %q: %w", o.Name, ErrNoAnswer)
	case errors.Is(err, os.ErrDeadlineExceeded):
		_ = port.Discard()
		return fmt.Errorf("device %q: %w", o.Name, ErrStuck)
	}
	return fmt.Errorf("device %q: %w: %w", o.Name, ErrLost, err)
}

package transporttest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	relayChunk = 4 << 10 // bytes read at once
	relayQueue = 64      // chunks under way in one direction
)

// relayFlow is one connection through a Relay.
type relayFlow struct {
	r *Relay

	mu        sync.Mutex
	used      time.Time // when the client last sent
	flushes   int64     // of the relay, when the flow was made
	forgotten bool
}

// chunk is under way; data nil means the sender's FIN.
type chunk struct {
	data []byte
	due  time.Time
}

// pump carries one direction: one goroutine reads and judges, the other waits and writes.
func (f *relayFlow) pump(ctx context.Context, from, to *net.TCPConn, up bool) {
	underway := make(chan chunk, relayQueue)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(underway)
		if err := f.read(ctx, from, underway, up); err != nil {
			f.refuse(to)
		}
	})
	f.write(ctx, to, underway)
	for range underway { // the writer is done; let the reader find out for itself
	}
	reader.Wait()
}

// read takes what comes in until the sender's FIN. An error is the sender's RST.
func (f *relayFlow) read(ctx context.Context, from *net.TCPConn, underway chan<- chunk, up bool) error {
	buf := make([]byte, relayChunk)
	for {
		n, err := from.Read(buf)
		if held := f.r.pass(ctx); held != nil {
			return held
		}
		if n == 0 && !errors.Is(err, io.EOF) {
			return err
		}
		lost := f.judge(n, up)
		if lost && f.r.o.Forget == Reset {
			resetTCP(from)
			return nil
		}
		if !lost {
			c := chunk{due: time.Now().Add(f.r.o.Latency)}
			if n > 0 {
				c.data = append([]byte{}, buf[:n]...)
			}
			underway <- c // the other side always drains
		}
		if n == 0 {
			return nil
		}
	}
}

// closeTCP closes with a FIN each; that of a connection that is gone already is no fault.
func closeTCP(conns ...*net.TCPConn) {
	for _, c := range conns {
		_ = c.Close()
	}
}

// resetTCP closes c with an RST.
func resetTCP(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// refuse passes an RST on, unless the flow is forgotten.
func (f *relayFlow) refuse(to *net.TCPConn) {
	if !f.judge(0, false) {
		resetTCP(to)
	}
}

// judge books n bytes and reports whether they are lost.
func (f *relayFlow) judge(n int, up bool) (lost bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, idle := f.r.o.Now(), time.Duration(f.r.idle.Load())
	if !f.forgotten && (idle > 0 && now.Sub(f.used) >= idle || f.flushes != f.r.flushes.Load()) {
		f.forgotten = true
		f.r.forgotten.Add(1)
	}
	switch {
	case f.forgotten:
		f.r.vanished.Add(int64(n))
	case up:
		f.used = now
		f.r.up.Add(int64(n))
	default:
		f.r.down.Add(int64(n))
	}
	return f.forgotten
}

// write delivers each chunk when it is due and the rate allows.
func (f *relayFlow) write(ctx context.Context, to *net.TCPConn, underway <-chan chunk) {
	var free time.Time // when the line has room for the next byte
	for c := range underway {
		if f.r.o.Rate > 0 {
			free = laterOf(free, time.Now()).Add(time.Duration(int64(len(c.data)) * int64(time.Second) / f.r.o.Rate))
			c.due = laterOf(c.due, free)
		}
		if sleep(ctx, time.Until(c.due)) != nil || f.r.pass(ctx) != nil {
			return
		}
		if c.data == nil {
			_ = to.CloseWrite()
			continue
		}
		if _, err := to.Write(c.data); err != nil {
			return
		}
	}
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

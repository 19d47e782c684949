package bridge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// negotiateTimeout is how long a serial server may take to set its line.
const negotiateTimeout = 5 * time.Second

// telnetPort is a [Port] behind a serial server that sets the line too, RFC 2217.
type telnetPort struct {
	*netPort
	raw  []byte // of the goroutine of Read, as rest
	rest []byte // data that nobody has read yet

	mu     sync.Mutex // of the two below
	telnet telnet
	com    comPort

	sending sync.Mutex // of what goes out: a command never lands inside another
	encoded []byte
}

// negotiate sets the line and returns the port.
func negotiate(ctx context.Context, p *netPort, line Line) (*telnetPort, error) {
	t := &telnetPort{netPort: p, raw: make([]byte, readSize)}
	t.telnet.heard = t.com.heard
	t.telnet.offer(optionBinary, true)
	t.telnet.offer(optionSGA, true)
	t.telnet.offer(optionComPort, false)
	stop := context.AfterFunc(ctx, func() { _ = p.conn.Close() })
	defer stop()
	until := time.Now().Add(negotiateTimeout)
	if err := t.flush(until); err != nil {
		return nil, err
	}
	if err := t.listen(until, "", t.speaksComPort); err != nil {
		return nil, err
	}
	if _, err := t.send(t.com.settings(line), until); err != nil {
		return nil, err
	}
	return t, t.listen(until, " with what it has set", t.com.settled)
}

// errNoComPort: what is there is Telnet at best.
var errNoComPort = errors.New("does not speak RFC 2217: switch it on in the serial server, or use tcp:// and set the line there")

func (t *telnetPort) speaksComPort() (bool, error) {
	switch t.telnet.mine[optionComPort] {
	case agreed:
		return true, nil
	case refused:
		return false, errNoComPort
	}
	return false, nil
}

// listen reads until done; data that arrives meanwhile is kept.
func (t *telnetPort) listen(until time.Time, with string, done func() (bool, error)) error {
	for {
		t.mu.Lock()
		ok, err := done()
		t.mu.Unlock()
		if ok || err != nil {
			return err
		}
		if err := t.receive(until); errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("the serial server has not answered%s within %v; does it speak RFC 2217?", with, negotiateTimeout)
		} else if err != nil {
			return err
		}
	}
}

// receive reads once and answers commands.
func (t *telnetPort) receive(until time.Time) error {
	n, err := t.netPort.Read(t.raw, until)
	t.mu.Lock()
	t.rest = t.telnet.feed(t.rest, t.raw[:n])
	replies := len(t.telnet.reply) > 0
	t.mu.Unlock()
	if err != nil {
		return err
	}
	// a writer that waits for the server sends them after its own
	if replies && t.sending.TryLock() {
		defer t.sending.Unlock()
		return t.flush(time.Now().Add(negotiateTimeout))
	}
	return nil
}

// flush sends the answers that wait; t.sending is held, or nobody else is there yet.
func (t *telnetPort) flush(until time.Time) error {
	t.mu.Lock()
	out := t.telnet.reply
	t.telnet.reply = nil
	t.mu.Unlock()
	if len(out) == 0 {
		return nil
	}
	_, err := t.netPort.Write(out, until)
	return err
}

// Read implements [Port].
func (t *telnetPort) Read(b []byte, until time.Time) (int, error) {
	for len(t.rest) == 0 {
		if err := t.receive(until); err != nil {
			return 0, err
		}
	}
	n := copy(b, t.rest)
	t.rest = t.rest[:copy(t.rest, t.rest[n:])]
	return n, nil
}

// Write implements [Port].
func (t *telnetPort) Write(b []byte, until time.Time) (int, error) {
	t.sending.Lock()
	t.encoded = appendEscaped(t.encoded[:0], b)
	n, err := t.netPort.Write(t.encoded, until)
	sent := payloadIn(t.encoded[:n])
	if err == nil {
		err = t.flush(until)
	}
	t.sending.Unlock()
	return sent, err
}

// payloadIn counts the bytes of data in what was sent of it.
func payloadIn(encoded []byte) (n int) {
	for i := 0; i < len(encoded); i++ {
		if encoded[i] == telnetIAC {
			i++ // half of a pair counts: the connection is lost then anyway
		}
		n++
	}
	return n
}

// send sends commands.
func (t *telnetPort) send(p []byte, until time.Time) (int, error) {
	t.sending.Lock()
	defer t.sending.Unlock()
	return t.netPort.Write(p, until)
}

// Discard implements [Port]: what the server has not sent yet, and what it has not got yet.
func (t *telnetPort) Discard() error {
	if n, err := t.unacked(); err != nil || n > 0 {
		return t.netPort.Discard()
	}
	_, err := t.send(appendSub(nil, optionComPort, comPurge, comPurgeSent), time.Now().Add(negotiateTimeout))
	return err
}

// SetLine implements lineSetter: the server is told, and what it makes of it is not waited for.
func (t *telnetPort) SetLine(c LineChange) error {
	t.mu.Lock()
	commands := t.com.change(c)
	t.mu.Unlock()
	if _, err := t.send(commands, time.Now().Add(negotiateTimeout)); err != nil {
		return err
	}
	if c.Break {
		return fmt.Errorf("a break: %w", ErrFixedLine)
	}
	return nil
}

// LineErrors implements errorCounter: what the server has told.
func (t *telnetPort) LineErrors() (LineErrors, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.com.errors, true
}

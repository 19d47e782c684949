package serialport

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

// What a serial server may make us hold.
const (
	keptEarly   = 4 << 10  // bytes of data that came before the line was set: the newest, as what follows joins them
	mostReplies = 16 << 10 // bytes of replies that wait while something else is written; one read asks for a quarter at most
)

// telnetPort is a [Port] behind a serial server that sets the line too, RFC 2217.
type telnetPort struct {
	*netPort
	raw   []byte // of the goroutine of Read, as rest
	rest  []byte // data that no Read has returned yet
	early int    // bytes of data that came before the line was set, and were dropped

	mu     sync.Mutex // of the two below
	telnet telnet
	com    comPort

	sending sync.Mutex // of what goes out: a command never lands inside another
	encoded []byte

	replyWithin time.Duration // a server that takes no reply for so long is gone; immutable
}

// negotiate sets the line and returns the port.
func negotiate(ctx context.Context, p *netPort, line Line) (*telnetPort, error) {
	t := &telnetPort{netPort: p, raw: make([]byte, ReadSize), replyWithin: negotiateTimeout}
	t.telnet.received = t.com.received
	t.telnet.offer(optionBinary, true)
	t.telnet.offer(optionSGA, true)
	t.telnet.offer(optionComPort, false)
	stop := context.AfterFunc(ctx, func() { _ = p.conn.Close() })
	defer stop()
	until := time.Now().Add(negotiateTimeout)
	if err := t.flush(until); err != nil {
		return nil, err
	}
	if err := t.readUntil(until, "", t.speaksComPort); err != nil {
		return nil, err
	}
	if _, err := t.send(t.com.settings(line), until); err != nil {
		return nil, err
	}
	return t, t.readUntil(until, " with what it has set", t.settled)
}

// errNoComPort: the server may be a Telnet server, but no more.
var errNoComPort = errors.New("does not speak RFC 2217: switch it on in the serial server, or use tcp:// and set the line there")

// errNotBinary: without BINARY Telnet makes CR NUL of a CR that no LF follows (RFC 854), and RFC 2217 wants it for all but text.
var errNotBinary = errors.New(
	"does not pass bytes as they are: it refuses the option BINARY of Telnet; use tcp:// and set the line in the serial server")

// settled is true when the line is as it was asked for. The answer to BINARY came before.
func (t *telnetPort) settled() (bool, error) {
	if t.telnet.mine[optionBinary] == refused || t.telnet.yours[optionBinary] == refused {
		return false, errNotBinary
	}
	return t.com.settled()
}

func (t *telnetPort) speaksComPort() (bool, error) {
	switch t.telnet.mine[optionComPort] {
	case agreed:
		return true, nil
	case refused:
		return false, errNoComPort
	}
	return false, nil
}

// readUntil reads until done; data that arrives meanwhile is kept, the newest of it.
func (t *telnetPort) readUntil(until time.Time, with string, done func() (bool, error)) error {
	for {
		t.mu.Lock()
		ok, err := done()
		t.mu.Unlock()
		if ok || err != nil {
			return err
		}
		if err := t.receive(until); errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("the serial server has not answered%s within %v%s; does it speak RFC 2217?", with, negotiateTimeout,
				t.instead())
		} else if err != nil {
			return err
		}
		t.dropEarly()
	}
}

// dropEarly keeps the newest of what came before the line was set: a device that talks all the time may have said it at another
// speed, and a server that does not answer may send for as long as it is let.
func (t *telnetPort) dropEarly() {
	n := len(t.rest) - keptEarly
	if n <= 0 {
		return
	}
	t.early += n
	t.rest = t.rest[:copy(t.rest, t.rest[n:])]
	t.mu.Lock()
	t.com.errors.Buffer++
	t.mu.Unlock()
}

// instead is what a server sent that has not answered.
func (t *telnetPort) instead() string {
	if t.early == 0 {
		return ""
	}
	return fmt.Sprintf(", and sent %d bytes of data instead", t.early+len(t.rest))
}

// receive reads once and answers commands.
func (t *telnetPort) receive(until time.Time) error {
	n, err := t.netPort.Read(t.raw, until)
	t.mu.Lock()
	t.rest = t.telnet.feed(t.rest, t.raw[:n])
	waiting := len(t.telnet.reply)
	t.mu.Unlock()
	if err != nil {
		return err
	}
	if waiting > mostReplies {
		return fmt.Errorf("%s: %w: the serial server changes its options without end and takes no answer", t.path, ErrGone)
	}
	err = t.reply(time.Now().Add(t.replyWithin))
	if errors.Is(err, os.ErrDeadlineExceeded) { // which would say that nothing was read
		return fmt.Errorf("%s: %w: the serial server takes no more bytes", t.path, ErrGone)
	}
	return err
}

// reply sends the replies that wait. If another goroutine is sending, it does so afterwards: who releases t.sending calls reply.
func (t *telnetPort) reply(until time.Time) error {
	for t.replies() && t.sending.TryLock() {
		err := t.flush(until)
		t.sending.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *telnetPort) replies() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.telnet.reply) > 0
}

// flush sends the replies that wait; t.sending is held, or no other goroutine knows the port yet.
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
	t.sending.Unlock()
	if err == nil {
		err = t.reply(until)
	}
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
	n, err := t.netPort.Write(p, until)
	t.sending.Unlock()
	if err == nil {
		err = t.reply(until)
	}
	return n, err
}

// Discard implements [Port]: what the server has not sent yet, and what it has not got yet.
func (t *telnetPort) Discard() error {
	if n, err := t.unacked(); err != nil || n > 0 {
		return t.netPort.Discard()
	}
	_, err := t.send(appendSub(nil, optionComPort, comPurge, comPurgeSent), time.Now().Add(negotiateTimeout))
	return err
}

// SetLine implements [LineSetter]. It sends the change to the server, and does not wait for the answer.
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

// LineErrors implements [ErrorCounter]: what the server has reported.
func (t *telnetPort) LineErrors() (LineErrors, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.com.errors, true
}

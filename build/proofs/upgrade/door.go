package upgrade

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// door stands before a broker. The first session ends behind it: a server that acknowledges neither records nor replies, and
// hangs up at the first of them. So an agent has had a session and lost it just now, and its backlog need not wait a random
// minute, as it does after a start; and what was sent in that session nobody has got.
type door struct {
	addr   string
	behind string // host:port of the broker
	ctx    context.Context

	mu     sync.Mutex
	open   bool
	before []net.Conn // until it is open
}

func newDoor(e *kit.Env, behind string) (*door, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("door: %w", err)
	}
	d := &door{addr: l.Addr().String(), behind: behind, ctx: e.Ctx}
	e.Defer(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			if d.closed(c) {
				go d.refuse(c)
			} else {
				go d.pass(c)
			}
		}
	}()
	return d, nil
}

// closed notes a connection that comes before the door is open.
func (d *door) closed(c net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open {
		d.before = append(d.before, c)
	}
	return !d.open
}

// unlock lets everybody through from now on; who is there must come again.
func (d *door) unlock() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = true
	for _, c := range d.before {
		_ = c.Close()
	}
}

// pass is between the agent and the broker.
func (d *door) pass(c net.Conn) {
	defer c.Close()
	b, err := (&net.Dialer{}).DialContext(d.ctx, "tcp", d.behind)
	if err != nil {
		return
	}
	defer b.Close()
	go func() {
		_, _ = io.Copy(b, c) // an end is an end, whatever its reason
		_ = b.Close()
	}()
	_, _ = io.Copy(c, b)
}

// refuse is a server of MQTT 3.1.1 as far as an agent needs one to be up.
func (d *door) refuse(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		kind, err := r.ReadByte()
		if err != nil {
			return
		}
		n, err := binary.ReadUvarint(r) // [MQTT 3.1.1, 2.2.3]: as a varint of at most four bytes
		if err != nil || n > 1<<20 {
			return
		}
		p := make([]byte, n)
		if _, err := io.ReadFull(r, p); err != nil {
			return
		}
		answer := d.answer(kind, p)
		if answer == nil {
			d.unlock()
			return
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// answer is what a packet gets; nil is for the first record or reply.
func (d *door) answer(kind byte, p []byte) []byte {
	switch kind >> 4 {
	case 1:
		return []byte{0x20, 2, 0, 0}
	case 3:
		if len(p) < 2 {
			return nil
		}
		end := 2 + int(binary.BigEndian.Uint16(p))
		topic := string(p[2:end])
		if strings.Contains(topic, "/up/data/") || strings.Contains(topic, "/up/reply/") {
			return nil
		}
		if kind&0x06 != 0 {
			return []byte{0x40, 2, p[end], p[end+1]}
		}
	case 8:
		suback := []byte{p[0], p[1]}
		for at := 2; at+2 < len(p); at += 3 + int(binary.BigEndian.Uint16(p[at:])) {
			suback = append(suback, 1)
		}
		return append([]byte{0x90, byte(len(suback))}, suback...)
	case 12:
		return []byte{0xd0, 0}
	}
	return []byte{}
}

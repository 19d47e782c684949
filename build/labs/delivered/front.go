package delivered

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// deed is what a front does with a publish of the gateway.
type deed int

const (
	pass    deed = iota
	hangUp       // it closes the connection, as AWS and RabbitMQ do
	swallow      // it acknowledges, and the broker never gets it
	mute         // the broker gets it, and the acknowledgement never comes back
	forget       // neither, as a server that throttles
)

// front stands before mosquitto and spoils it, until it is mended: so a hostile server is also one whose books can be trusted.
// Its fields are set before it listens.
type front struct {
	Addr string

	old     bool                      // it does not know MQTT 5
	refuse  func(h hello) bool        // true: it answers that this client is not authorised
	connect func(h hello) bool        // false: it closes the connection, without a word
	publish func(h hello, p pub) deed // nil: all pass
	idle    time.Duration             // a connection on which the client says nothing for so long comes to its end; 0: none does
	end     func(c *net.TCPConn)      // what that end is; nil: it is closed. It is not closed by whoever returns true
	hole    bool                      // at that end nothing passes any more, and nobody is told

	mended atomic.Bool
	away   atomic.Bool  // nobody is let in
	up     atomic.Int64 // bytes of both ways
	conns  atomic.Int64
	ends   atomic.Int64 // of main links, at idle
	spoilt atomic.Int64 // publishes with which something else was done than pass

	to  string
	mu  sync.Mutex
	all map[*net.TCPConn]string // by what the client is called
}

// listen lets it stand before the broker at to until the end of the run.
func (f *front) listen(e *kit.Env, to string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	f.Addr, f.to, f.all = l.Addr().String(), to, map[*net.TCPConn]string{}
	var serving sync.WaitGroup
	e.Defer(func() { _ = l.Close(); f.cut(""); serving.Wait() })
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				f.pair(c.(*net.TCPConn))
			})
		}
	})
	return nil
}

// cut ends the connections of a client id, or all of them, as a server does that ends.
func (f *front) cut(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c, name := range f.all {
		if id == "" || id == name {
			_ = c.Close()
		}
	}
}

// leave closes all connections, and takes none until come.
func (f *front) leave() { f.away.Store(true); f.cut("") }

func (f *front) come() { f.away.Store(false) }

func (f *front) pair(c *net.TCPConn) {
	if f.away.Load() {
		return
	}
	b, err := net.Dial("tcp", f.to)
	if err != nil {
		return
	}
	defer b.Close()
	f.conns.Add(1)
	f.mu.Lock()
	f.all[c] = ""
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.all, c)
		f.mu.Unlock()
	}()
	p := &pairing{front: f, client: c, broker: b.(*net.TCPConn), muted: map[int]bool{}}
	var down sync.WaitGroup
	down.Go(p.down)
	p.upward()
	_ = b.Close()
	if !p.isDead() {
		_ = c.Close()
	}
	down.Wait()
}

// pairing is one connection through a front.
type pairing struct {
	*front
	client, broker *net.TCPConn

	mu    sync.Mutex
	hello hello
	muted map[int]bool // publishes whose acknowledgement does not come back
	dead  bool         // nothing passes any more
}

func (p *pairing) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// write to the gateway; what two say comes whole.
func (p *pairing) write(b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return nil
	}
	p.up.Add(int64(len(b)))
	_, err := p.client.Write(b)
	return err
}

// down carries what the broker says.
func (p *pairing) down() {
	r := bufio.NewReader(p.broker)
	for {
		q, err := readPacket(r)
		if err != nil {
			if !p.isDead() {
				_ = p.client.Close()
			}
			return
		}
		if q.kind() == kindPubAck && len(q.body) >= 2 {
			id := int(q.body[0])<<8 | int(q.body[1])
			p.mu.Lock()
			muted := p.muted[id]
			delete(p.muted, id)
			p.mu.Unlock()
			if muted {
				continue
			}
		}
		if p.write(q.bytes()) != nil {
			return
		}
	}
}

// upward carries what the gateway says, packet by packet, until one is not to pass.
func (p *pairing) upward() {
	r := bufio.NewReader(p.client)
	for {
		if p.idle > 0 && !p.mended.Load() {
			_ = p.client.SetReadDeadline(time.Now().Add(p.idle))
		} else {
			_ = p.client.SetReadDeadline(time.Time{})
		}
		q, err := readPacket(r)
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			p.fellSilent()
			return
		}
		if err != nil {
			return
		}
		p.up.Add(int64(len(q.bytes())))
		if !p.judge(q) {
			return
		}
	}
}

// fellSilent is called when the client has said nothing for too long.
func (p *pairing) fellSilent() {
	if !strings.Contains(p.hello.id, "-p") {
		p.ends.Add(1)
	}
	switch {
	case p.hole:
		p.mu.Lock()
		p.dead = true
		p.mu.Unlock()
		_ = p.client.SetReadDeadline(time.Time{})
		_, _ = p.client.Read(make([]byte, 1)) // until it gives up; what it sends in between is nobody's
		for b := make([]byte, 512); ; {
			if _, err := p.client.Read(b); err != nil {
				return
			}
		}
	case p.end != nil:
		p.end(p.client)
	}
}

// judge does with a packet what is to be done; false: the connection ends.
func (p *pairing) judge(q packet) bool {
	mended := p.mended.Load()
	switch q.kind() {
	case kindConnect:
		h := helloOf(q)
		p.mu.Lock()
		p.hello = h
		p.mu.Unlock()
		p.front.mu.Lock()
		p.all[p.client] = h.id
		p.front.mu.Unlock()
		if p.old && h.level == version5 {
			_ = p.write([]byte{kindConnAck << 4, 2, 0, 1})
			return false
		}
		if p.refuse != nil && p.refuse(h) {
			_ = p.write(refusal(h))
			return false
		}
		if p.connect != nil && !mended && !p.connect(h) {
			return false
		}
	case kindPublish:
		m := pubOf(q)
		does := pass
		if p.publish != nil && !mended {
			does = p.publish(p.hello, m)
		}
		if does != pass {
			p.spoilt.Add(1)
		}
		switch does {
		case hangUp:
			return false
		case swallow:
			return m.id == 0 || p.write(pubAck(m.id)) == nil
		case forget:
			return true
		case mute:
			p.mu.Lock()
			p.muted[m.id] = true
			p.mu.Unlock()
		}
	}
	_, err := p.broker.Write(q.bytes())
	return err == nil
}

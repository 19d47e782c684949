package transporttest

import (
	"bufio"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// queueLimit is how many messages a session holds for its client; more are dropped, as brokers do.
const queueLimit = 100_000

// connectLimit is how long a connection may be without its CONNECT [MQTT 3.1.1 section 3.1.4].
const connectLimit = 30 * time.Second

// session is what a broker keeps of a client id; guarded by the broker's mu.
type session struct {
	clean  bool
	on     *client // nil: offline
	topics map[string]byte
	lastID uint16
	queue  []queued // QoS 1, not acknowledged
	// of QoS 2: whose PUBREL was not answered
	releases []uint16
}

type queued struct {
	id   uint16
	m    Message
	sent bool
}

func (s *session) wants(topic string) (qos byte, ok bool) {
	for filter, q := range s.topics {
		if matches(filter, topic) {
			qos, ok = max(qos, q), true
		}
	}
	return qos, ok
}

// deliver sends or queues m.
func (s *session) deliver(m Message, qos byte) {
	if m.QoS = min(m.QoS, qos); m.QoS == 0 {
		if s.on != nil {
			s.on.push(m.encode(0))
		}
		return
	}
	if len(s.queue) >= queueLimit {
		return
	}
	if s.lastID++; s.lastID == 0 {
		s.lastID = 1
	}
	s.queue = append(s.queue, queued{id: s.lastID, m: m})
	s.flush()
}

// flush sends what was queued while the client was away.
func (s *session) flush() {
	for i := range s.queue {
		if q := &s.queue[i]; s.on != nil && !q.sent {
			q.sent = true
			s.on.push(q.m.encode(q.id))
			q.m.Dup = true
		}
	}
}

// release sends the PUBRELs that are open, as at each return of the client [MQTT-4.4.0-1].
func (s *session) release() {
	for _, id := range s.releases {
		s.on.push(appendPacket(nil, typePubrel|2, number(id)))
	}
}

func (s *session) acked(id uint16) {
	s.queue = slices.DeleteFunc(s.queue, func(q queued) bool { return q.sent && q.id == id })
}

// client is one connection.
type client struct {
	b       *Broker
	conn    net.Conn
	hello   Connect
	session *session
	willed  bool // the will was published or is void; guarded by the broker's mu

	mu     sync.Mutex
	out    [][]byte
	more   chan struct{} // capacity 1
	closed chan struct{}
}

// push queues a packet for the writer. A client that does not read is cut at queueLimit packets.
func (c *client) push(p []byte) {
	c.mu.Lock()
	c.out = append(c.out, p)
	if len(c.out) > queueLimit {
		_ = c.conn.Close()
		c.out = nil
	}
	c.mu.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// write sends what is pushed until the connection ends.
func (c *client) write() {
	for {
		select {
		case <-c.more:
		case <-c.closed:
			return
		}
		c.b.gate()
		c.mu.Lock()
		out := c.out
		c.out = nil
		c.mu.Unlock()
		for _, p := range out {
			if _, err := c.conn.Write(p); err != nil {
				return
			}
		}
	}
}

// serve speaks with one client until its connection ends.
func (b *Broker) serve(conn net.Conn) {
	c := &client{b: b, conn: conn, more: make(chan struct{}, 1), closed: make(chan struct{})}
	b.mu.Lock()
	b.conns[c] = struct{}{}
	b.mu.Unlock()
	var writer sync.WaitGroup
	writer.Go(c.write)
	err := c.read(bufio.NewReader(conn))
	b.leave(c, err)
	close(c.closed)
	_ = conn.Close()
	writer.Wait()
}

var errDisconnect = errors.New("client said DISCONNECT")

// read handles packets until the connection ends, and says why it did.
func (c *client) read(r *bufio.Reader) error {
	for {
		if err := c.conn.SetReadDeadline(c.patience()); err != nil {
			return err
		}
		first, body, err := readPacket(r, c.session == nil)
		if c.b.gate() && errors.Is(err, os.ErrDeadlineExceeded) {
			continue // a stopped process cannot cut anybody; what came meanwhile is looked at first
		}
		if err == nil {
			err = c.handle(first, body)
		}
		if err != nil {
			return err
		}
	}
}

// patience returns when the client must have sent its next packet [MQTT-3.1.2-24]; the zero time: never.
func (c *client) patience() (by time.Time) {
	limit := time.Duration(c.hello.Keepalive) * time.Second * 3 / 2
	if c.session == nil {
		limit = connectLimit
	}
	if idle := c.b.hooks.Idle; idle > 0 && (limit == 0 || idle < limit) {
		limit = idle
	}
	if limit > 0 {
		by = time.Now().Add(limit)
	}
	return by
}

// leave ends the session of c, or keeps it for its return.
func (b *Broker) leave(c *client, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, c)
	if c.session != nil && c.session.on == c {
		c.session.on = nil
		if c.session.clean {
			delete(b.sessions, c.hello.ClientID)
		}
	}
	b.publishWill(c, err)
}

// publishWill publishes the will of c unless it said goodbye; mu is held.
func (b *Broker) publishWill(c *client, err error) {
	if c.willed || c.session == nil || c.hello.Will == nil || errors.Is(err, errDisconnect) {
		return
	}
	c.willed = true
	will := *c.hello.Will
	will.From = c.hello.ClientID
	b.published = append(b.published, will)
	b.route(will)
}

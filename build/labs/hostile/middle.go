package hostile

import (
	"bufio"
	"encoding/binary"
	"net"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// injected are the packet identifiers of what the man in the middle says with QoS 1; their PUBACKs do not reach the broker.
const injected = 0xf000

// middle is a man in the middle of a program and mosquitto: it passes on what both say, and says what it likes to the program
// between two packets. So a broker that floods is also one whose books can be trusted.
type middle struct {
	Addr string

	say func(write func([]byte) bool, quit <-chan struct{}) // after each SUBACK of a connection, the first time

	mu    sync.Mutex
	quiet bool
	name  string // of the last client
	all   map[net.Conn]struct{}
	to    string
}

// between begins to listen, and passes on to the broker at to.
func between(e *kit.Env, to string, say func(write func([]byte) bool, quit <-chan struct{})) (*middle, error) {
	m := &middle{say: say, to: to, all: map[net.Conn]struct{}{}}
	addr, err := listen(e, "127.0.0.1:0", m.serve)
	m.Addr = addr
	return m, err
}

// listen serves each connection on a goroutine of its own until the end of the run.
func listen(e *kit.Env, on string, serve func(net.Conn)) (addr string, err error) {
	l, err := net.Listen("tcp", on)
	if err != nil {
		return "", err
	}
	accept(e, l, serve)
	return l.Addr().String(), nil
}

func accept(e *kit.Env, l net.Listener, serve func(net.Conn)) {
	var mu sync.Mutex
	open := map[net.Conn]struct{}{}
	e.Defer(func() {
		_ = l.Close()
		mu.Lock()
		defer mu.Unlock()
		for c := range open {
			_ = c.Close()
		}
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = struct{}{}
			mu.Unlock()
			go func() {
				serve(c)
				_ = c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			}()
		}
	}()
}

// Quiet ends what it says of its own, for good.
func (m *middle) Quiet() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.quiet = true
}

func (m *middle) silent() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.quiet
}

// heard keeps the client id of a CONNECT [3.1.3.1], which stands behind ten bytes.
func (m *middle) heard(p packet) {
	if len(p.body) < 12 || len(p.body) < 12+int(binary.BigEndian.Uint16(p.body[10:])) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.name = string(p.body[12 : 12+int(binary.BigEndian.Uint16(p.body[10:]))])
}

// id of the gateway that is connected.
func (m *middle) id() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.name
}

// Cut ends all connections, as a path that breaks.
func (m *middle) Cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.all {
		_ = c.Close()
	}
}

func (m *middle) serve(c net.Conn) {
	up, err := net.DialTimeout("tcp", m.to, 5*time.Second)
	if err != nil {
		return
	}
	defer up.Close()
	m.mu.Lock()
	m.all[c] = struct{}{}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.all, c)
		m.mu.Unlock()
	}()
	var writing sync.Mutex
	quit := make(chan struct{})
	write := func(b []byte) bool {
		if m.silent() {
			return false
		}
		writing.Lock()
		defer writing.Unlock()
		_, err := c.Write(b)
		return err == nil
	}
	var all sync.WaitGroup
	var once sync.Once
	all.Go(func() { // the broker's words
		defer c.Close()
		r := bufio.NewReader(up)
		for {
			p, err := read(r, r)
			if err != nil {
				return
			}
			writing.Lock()
			_, err = c.Write(p.bytes())
			writing.Unlock()
			if err != nil {
				return
			}
			if p.kind() == kindSubAck && m.say != nil {
				once.Do(func() { all.Go(func() { m.say(write, quit) }) })
			}
		}
	})
	r := bufio.NewReader(c)
	for {
		p, err := read(r, r)
		if err != nil {
			break
		}
		switch {
		case p.kind() == kindPubAck && p.id() >= injected:
			continue
		case p.kind() == kindConnect:
			m.heard(p)
		}
		if _, err := up.Write(p.bytes()); err != nil {
			break
		}
	}
	close(quit)
	_ = up.Close()
	_ = c.Close()
	all.Wait()
}

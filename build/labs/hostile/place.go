package hostile

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// place is that namespace, with the servers that the documents name.
type place struct {
	netns string
	dir   string // for files with secrets
	certs *kit.Certs

	good, goodWS  string // host:port of servers with a certificate of our authority
	evil          string // with one of nobody's: a man in the middle
	clear, web    string // without TLS: whoever is on the path reads along
	proxy, closed string

	mu    sync.Mutex
	heard map[string]*bytes.Buffer // what each was told
}

func (l lab) place() (*place, error) {
	p := &place{netns: fmt.Sprint("lbh-", os.Getpid()), heard: map[string]*bytes.Buffer{}, dir: l.Dir}
	for _, argv := range [][]string{{"netns", "add", p.netns}, {"-n", p.netns, "link", "set", "lo", "up"},
		{"-n", p.netns, "addr", "add", far + "/32", "dev", "lo"}} {
		if out, err := exec.CommandContext(l.Ctx, "ip", argv...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ip %v: %w: %s", argv, err, out)
		}
	}
	l.Defer(func() { _ = exec.Command("ip", "netns", "del", p.netns).Run() })
	var err error
	if p.certs, err = l.Certs(far); err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(p.certs.ServerCert, p.certs.ServerKey)
	if err != nil {
		return nil, err
	}
	nobody, err := selfSigned(far, []string{far})
	if err != nil {
		return nil, err
	}
	for name, x := range map[string]struct {
		addr *string
		tls  *tls.Config
	}{"good": {&p.good, &tls.Config{Certificates: []tls.Certificate{pair}}},
		"goodWS": {&p.goodWS, &tls.Config{Certificates: []tls.Certificate{pair}}},
		"evil":   {&p.evil, &tls.Config{Certificates: []tls.Certificate{nobody}}},
		"clear":  {&p.clear, nil}, "web": {&p.web, nil}, "proxy": {&p.proxy, nil}} {
		if *x.addr, err = p.listen(l, name, x.tls); err != nil {
			return nil, err
		}
	}
	p.closed = far + ":1"
	return p, nil
}

// listen is a broker as far as the agent can see, which keeps what it is told.
func (p *place) listen(l lab, name string, conf *tls.Config) (addr string, err error) {
	var ln net.Listener
	if err := kit.InNetns(p.netns, func() (err error) {
		ln, err = net.Listen("tcp", far+":0")
		return err
	}); err != nil {
		return "", err
	}
	accept(l.Env, ln, func(c net.Conn) {
		if conf != nil {
			c = tls.Server(c, conf)
		}
		r := bufio.NewReader(io.TeeReader(c, p.ear(name)))
		first, err := r.Peek(3)
		if err != nil {
			return
		}
		wrap := func(b []byte) []byte { return b }
		if string(first) == "GET" {
			q, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			sum := sha1.Sum([]byte(q.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
			_, _ = fmt.Fprintf(c,
				"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt\r\n"+
					"Sec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
			r = bufio.NewReader(io.TeeReader(&unframed{r: r}, p.ear(name)))
			wrap = func(b []byte) []byte { return append([]byte{0x82, byte(len(b))}, b...) }
		}
		for {
			q, err := read(r, r)
			if err != nil {
				return
			}
			if q.kind() == kindPublish {
				_, _ = p.ear(name + published).Write(q.body)
			}
			if b := right(q); len(b) > 0 {
				if _, err := c.Write(wrap(b)); err != nil {
					return
				}
			}
		}
	})
	return ln.Addr().String(), nil
}

// published is behind the name of what a server was told in messages: those its other clients can read, the login they cannot.
const published = ", messages"

// names of the servers.
func (p *place) names() []string { return []string{"good", "goodWS", "evil", "clear", "web", "proxy"} }

// ear keeps what is written to it under a name.
func (p *place) ear(name string) io.Writer { return ear{p, name} }

type ear struct {
	p    *place
	name string
}

func (e ear) Write(b []byte) (int, error) {
	e.p.mu.Lock()
	defer e.p.mu.Unlock()
	if e.p.heard[e.name] == nil {
		e.p.heard[e.name] = &bytes.Buffer{}
	}
	return e.p.heard[e.name].Write(b)
}

// told reports whether a server was told a word, plain or as HTTP encodes a login.
func (p *place) told(name, word string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.heard[name]
	return b != nil && bytes.Contains(b.Bytes(), []byte(word))
}

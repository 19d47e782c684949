package secrets

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// elsewhere is another machine, to whoever is in the namespace (RFC 5737).
const elsewhere = "192.0.2.1"

// forms are how the word may be written: as it is, and in base64, whatever stands before it.
func forms() []string {
	all := []string{word}
	for before := range 3 {
		text := base64.RawStdEncoding.EncodeToString([]byte("xyz"[:before] + word))
		all = append(all, text[(before*8+5)/6:len(text)-1]) // without the digits that others share
	}
	return all
}

// world is the namespace and the programs.
type world struct {
	e                 *kit.Env
	netns             string
	agent, controller string // paths
}

func newWorld(e *kit.Env) (*world, error) {
	w := &world{e: e, netns: fmt.Sprintf("lbsec%d", os.Getpid())}
	for _, argv := range [][]string{{"netns", "add", w.netns}, {"-n", w.netns, "link", "set", "lo", "up"},
		{"-n", w.netns, "link", "add", "up0", "type", "veth", "peer", "name", "up1"},
		{"-n", w.netns, "addr", "add", elsewhere + "/24", "dev", "up0"},
		{"-n", w.netns, "link", "set", "up0", "up"}, {"-n", w.netns, "link", "set", "up1", "up"}} {
		if out, err := exec.Command("ip", argv...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ip %v: %w: %s", argv, err, out)
		}
	}
	e.Defer(func() { _ = exec.Command("ip", "netns", "del", w.netns).Run() })
	var err error
	if w.agent, err = e.BuildAgent(""); err != nil {
		return nil, err
	}
	w.controller = filepath.Join(e.Dir, "linkbeatctl")
	return w, kit.Build(e.Ctx, "cmd/linkbeatctl", w.controller)
}

// wire is a port without TLS, and all that came there: what whoever is on the path reads. It speaks as little MQTT as a client
// needs, and answers a proxy's CONNECT.
type wire struct {
	addr string

	mu    sync.Mutex
	bytes bytes.Buffer
	conns int
}

func (w *world) listen(host string) (*wire, error) {
	var l net.Listener
	err := kit.InNetns(w.netns, func() (err error) {
		l, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
		return err
	})
	if err != nil {
		return nil, err
	}
	w.e.Defer(func() { _ = l.Close() })
	x := &wire{addr: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go x.serve(c)
		}
	}()
	return x, nil
}

func (x *wire) serve(c net.Conn) {
	defer c.Close()
	p := make([]byte, 4096)
	for {
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := c.Read(p)
		x.mu.Lock()
		x.bytes.Write(p[:n])
		x.conns++
		x.mu.Unlock()
		if err != nil {
			return
		}
		switch {
		case p[0] == 0x10: // CONNECT
			_, _ = c.Write([]byte{0x20, 2, 0, 0})
		case bytes.HasPrefix(p, []byte("CONNECT ")):
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
		case bytes.HasPrefix(p, []byte("GET ")), p[0] == 0x82: // a WebSocket, SUBSCRIBE: it has been seen by then
			return
		}
	}
}

// got is what came, and whether anything did.
func (x *wire) got() (string, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.bytes.String(), x.conns > 0
}

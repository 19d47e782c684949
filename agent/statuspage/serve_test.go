package statuspage

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// serving starts a server on loopback; its connections are dialled by dial.
func serving(t *testing.T, h http.Handler, o ServerOptions) (s *Server, dial func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = NewServer(h, o)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s, func() net.Conn {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
}

func healthz(t *testing.T, conn net.Conn) error {
	t.Helper()
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if p, err := io.ReadAll(res.Body); err != nil || string(p) != "ok\n" {
		return fmt.Errorf("%s: %q, %w", res.Status, p, err)
	}
	return nil
}

// closed waits for the other end to close.
func closed(conn net.Conn) error {
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, net.ErrClosed) || err != nil &&
		strings.Contains(err.Error(), "timeout") {
		return err
	}
	return nil
}

// 1,024 connections that say nothing, and as many that begin a request and do not end it: who asks is answered, and no more than
// 64 are held.
func TestStrangersWhoHoldConnectionsStopNobody(t *testing.T) {
	for name, begin := range map[string]string{"silent": "", "half a request": "GET /healthz HTTP/1.1\r\nHo"} {
		logged := make(chan string, 100)
		s, dial := serving(t, testPage(Status{}, nil), ServerOptions{Log: func(text string) { logged <- text }})
		var first net.Conn
		for i := range 1024 {
			conn := dial()
			if i == 0 {
				first = conn
			}
			if _, err := io.WriteString(conn, begin); err != nil {
				t.Fatal(err)
			}
		}
		if err := healthz(t, dial()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		s.seats.mu.Lock()
		held := len(s.seats.all)
		s.seats.mu.Unlock()
		if held > mostSeats {
			t.Errorf("%s: %d connections are held", name, held)
		}
		if err := closed(first); err != nil {
			t.Errorf("%s: the one that was idle for the longest: %v", name, err)
		}
		if text := <-logged; !strings.Contains(text, "all 64 connections are taken") || len(logged) > 0 {
			t.Errorf("%s: %q, and %d more lines", name, text, len(logged))
		}
	}
}

// A reload that is being answered is not idle, who has just been answered has waited for less than one that says nothing, and who
// asks and does not read the answer is as idle as that.
func TestTheLongestIdleLeaves(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	conns := make([]net.Conn, 6)
	for i := range conns {
		conns[i], _ = net.Pipe()
	}
	s := &seats{most: 3, all: map[net.Conn]*seat{}}
	for i := range 3 {
		if leaves := s.came(conns[i], at(i)); leaves != nil {
			t.Errorf("%d seats, and one must leave", i)
		}
	}
	s.works(conns[0], at(3))
	s.asked(conns[1], at(4))
	s.answered(conns[1], at(5))
	if leaves := s.came(conns[3], at(6)); leaves != conns[2] {
		t.Error("not the one that never asked")
	}
	s.answered(conns[2], at(7)) // it had to leave
	if leaves := s.came(conns[4], at(8)); leaves != conns[1] {
		t.Error("not the one that was answered a while ago")
	}
	s.works(conns[3], at(9))
	s.keep(conns[0], at(0))
	s.works(conns[4], at(10))
	if leaves := s.came(conns[5], at(11)); leaves != conns[3] {
		t.Error("where all are busy, not the one that has been so for the longest, taps apart")
	}
	if s.left(conns[5]); len(s.all) != 2 {
		t.Errorf("%d are left", len(s.all))
	}
	s = &seats{most: 2, all: map[net.Conn]*seat{}}
	s.came(conns[0], at(0))
	s.asked(conns[0], at(1)) // and never reads
	s.came(conns[1], at(2))
	if leaves := s.came(conns[2], at(3)); leaves != conns[0] {
		t.Error("who does not read keeps the seat of who has just come")
	}
}

// However fast others come, whoever has just come keeps the seat for long enough to be answered; and nobody waits for longer than
// that, also where all are asking without end.
func TestWhoHasJustComeIsNotDrivenOut(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(100, 0).Add(time.Duration(ms) * time.Millisecond) }
	conns := make([]net.Conn, 4)
	for i := range conns {
		conns[i], _ = net.Pipe()
	}
	s := &seats{most: 2, all: map[net.Conn]*seat{}}
	if w := s.wait(at(0)); w != 0 {
		t.Errorf("%v with free seats", w)
	}
	s.came(conns[0], at(0))
	s.came(conns[1], at(5))
	if w := s.wait(at(8)); w != leastSeat-8*time.Millisecond {
		t.Errorf("%v for the third", w)
	}
	if w := s.wait(at(500)); w > 0 {
		t.Errorf("%v where somebody has been idle for long", w)
	}
	s.asked(conns[0], at(600))
	s.works(conns[1], at(600))
	if w := s.wait(at(600)); w != leastSeat {
		t.Errorf("%v where all ask without end", w)
	}
	if w := s.wait(at(-3_600_000)); w != leastSeat {
		t.Errorf("%v after the clock went back", w)
	}
	s.keep(conns[0], at(601))
	s.keep(conns[1], at(601))
	if w := s.wait(at(602)); w != 0 {
		t.Errorf("%v where nobody leaves", w)
	}
}

// wire is a listener in memory, so that time can be fake.
type wire struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (w wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}
func (w wire) Close() error   { close(w.closed); return nil }
func (w wire) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

// A client that is slow without end is given up, at whatever it is slow.
func TestSlowClientsAreGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		begin, drip string
		within      time.Duration
	}{
		"silence":        {"", "", requestWithin},
		"a request line": {"GET /", "x", requestWithin},
		"headers":        {"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", "X: y\r\n", requestWithin},
		"a body":         {"POST /reload HTTP/1.1\r\nHost: l\r\nContent-Length: 1000\r\n\r\n", "x", 2 * requestWithin},
		"a body in chunks": {"POST /reload HTTP/1.1\r\nHost: l\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n",
			2 * requestWithin},
		"after an answer, a second": {"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", "", idleWithin},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := wire{make(chan net.Conn), make(chan struct{})}
				s := NewServer(testPage(Status{}, nil), ServerOptions{})
				ended := make(chan error)
				go func() { ended <- s.Serve(w) }()
				ours, theirs := net.Pipe()
				w.conns <- theirs
				start := time.Now()
				var dripping sync.WaitGroup
				defer dripping.Wait()
				dripping.Go(func() {
					_, err := io.WriteString(ours, c.begin)
					for err == nil && c.drip != "" {
						time.Sleep(time.Second)
						_, err = io.WriteString(ours, c.drip)
					}
				})
				_, _ = io.Copy(io.Discard, ours)
				if took := time.Since(start); took > c.within+time.Second {
					t.Errorf("given up after %v", took)
				}
				_ = ours.Close()
				s.Close()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestHeadersHaveAnEnd(t *testing.T) {
	_, dial := serving(t, testPage(Status{}, nil), ServerOptions{})
	for name, header := range map[string]string{"one": "X: " + strings.Repeat("y", 64<<10),
		"many": strings.Repeat("X: y\r\n", 8<<10)} {
		conn := dial()
		go func() { _, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"+header+"\r\n\r\n") }()
		if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil &&
			res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: %s", name, res.Status)
		}
	}
}

func TestFaultsOfTheServerAreSaidOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		s := NewServer(http.NotFoundHandler(), ServerOptions{Log: func(text string) { said = append(said, text) }})
		for range 1000 {
			s.http.ErrorLog.Printf("http: Accept error: too many open files")
		}
		time.Sleep(murmurEvery)
		s.http.ErrorLog.Printf("http: panic serving")
		s.http.ErrorLog.Printf("http: panic serving")
		want := []string{"http: Accept error: too many open files",
			"http: panic serving (and 999 times something like it before)"}
		if strings.Join(said, "|") != strings.Join(want, "|") {
			t.Errorf("%q", said)
		}
	})
	NewServer(nil, ServerOptions{}).http.ErrorLog.Print("nobody listens")
}

// A panic in a handler is one line of the log, and not of stderr.
func TestAPanicGoesToTheLog(t *testing.T) {
	said := make(chan string, 1)
	_, dial := serving(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("broken") }),
		ServerOptions{Log: func(text string) { said <- text }})
	conn := dial()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if text := <-said; !strings.Contains(text, "broken") {
		t.Error(text)
	}
	var left bytes.Buffer
	_, _ = io.Copy(&left, conn)
}

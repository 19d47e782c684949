package statuspage

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// tapped is a device that can be tapped.
type tapped struct {
	emits   chan func([]byte)
	stopped chan struct{}
	gone    chan struct{}
}

func newTapped() *tapped {
	return &tapped{make(chan func([]byte), 64), make(chan struct{}, 64), make(chan struct{})}
}

func (d *tapped) handler() http.Handler {
	return New(Options{Status: func() Status { return Status{ID: "gw-7"} },
		Healthy: func() error { return nil }}).LocalHandler(Local{
		StateDir: func() string { return "/var/lib/linkbeat" },
		Tap: func(name string, emit func([]byte)) (func(), <-chan struct{}, bool) {
			if name != "meter" {
				return nil, nil, false
			}
			d.emits <- emit
			return func() { d.stopped <- struct{}{} }, d.gone, true
		},
		Reload:    func(context.Context) Reloaded { return Reloaded{Fault: "line 3: no"} },
		Reconnect: func(context.Context) Reconnected { return Reconnected{Fault: "no new connection"} },
	})
}

// tap asks for a tap on a connection of its own.
func tap(t *testing.T, dial func() net.Conn, name string) (net.Conn, *http.Response) {
	t.Helper()
	conn := dial()
	if _, err := io.WriteString(conn, "GET /tap/"+name+" HTTP/1.1\r\nHost: linkbeat\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn, res
}

func TestTap(t *testing.T) {
	d := newTapped()
	_, dial := serving(t, d.handler(), ServerOptions{})
	if _, res := tap(t, dial, "nobody"); res.StatusCode != http.StatusNotFound {
		t.Error(res.Status)
	}
	conn, res := tap(t, dial, "meter")
	(<-d.emits)([]byte("one\n"))
	if line, err := bufio.NewReader(res.Body).ReadString('\n'); line != "one\n" {
		t.Errorf("%q, %v", line, err)
	}
	_ = conn.Close()
	<-d.stopped
}

func TestTapEndsWithItsDevice(t *testing.T) {
	d := newTapped()
	_, dial := serving(t, d.handler(), ServerOptions{})
	_, res := tap(t, dial, "meter")
	close(d.gone)
	if text, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(text), "tap it again") {
		t.Errorf("%q, %v", text, err)
	}
	<-d.stopped
}

// Eight taps; the ninth is told so, and a free seat can be had again. A tap does not leave for connections that come later.
func TestEightTaps(t *testing.T) {
	d := newTapped()
	s, dial := serving(t, d.handler(), ServerOptions{Seats: 16})
	var taps []net.Conn
	for range mostTaps {
		conn, res := tap(t, dial, "meter")
		if res.StatusCode != http.StatusOK {
			t.Fatal(res.Status)
		}
		taps = append(taps, conn)
	}
	_, res := tap(t, dial, "meter")
	if why, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusServiceUnavailable ||
		!strings.Contains(string(why), "8 taps are open already") {
		t.Errorf("%s: %s", res.Status, why)
	}
	for range 100 {
		dial()
	}
	if err := healthz(t, dial()); err != nil {
		t.Error(err)
	}
	s.seats.mu.Lock()
	lasting := 0
	for _, c := range s.seats.all {
		if c.stays {
			lasting++
		}
	}
	s.seats.mu.Unlock()
	if lasting != mostTaps || len(d.stopped) > 0 {
		t.Errorf("%d taps are left", lasting)
	}
	_ = taps[0].Close()
	<-d.stopped
	for { // its place is free a moment after its device was let go
		if _, res := tap(t, dial, "meter"); res.StatusCode == http.StatusOK {
			return
		}
	}
}

func TestSocketAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		method, path, meant, sent string
		code                      int
		body                      string
	}{
		"status":              {"GET", "/status", "", "", 200, `"id": "gw-7"`},
		"health":              {"GET", "/healthz", "", "", 200, "ok"},
		"reload":              {"POST", "/reload", "", "", 200, `"fault": "line 3: no"`},
		"reload by reading":   {"GET", "/reload", "", "", 404, ""},
		"reconnect":           {"POST", "/reconnect", "", "", 200, "no new connection"},
		"this agent is meant": {"POST", "/reload", "/var/lib/linkbeat", "", 200, ""},
		"another is meant":    {"POST", "/reload", "/var/lib/other", "", 421, "its state_dir is /var/lib/linkbeat"},
		"a body":              {"POST", "/reload", "", "x", 400, "no body"},
	} {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.sent))
		if c.meant != "" {
			r.Header.Set(StateDirHeader, url.PathEscape(c.meant))
		}
		w := httptest.NewRecorder()
		if newTapped().handler().ServeHTTP(w, r); w.Code != c.code || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

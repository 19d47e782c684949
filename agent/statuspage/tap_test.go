package statuspage

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// lines hands over what is written to it.
type lines chan string

func (l lines) Write(p []byte) (int, error) { l <- string(p); return len(p), nil }

func TestTap(t *testing.T) {
	emits, stopped := make(chan func([]byte), 1), make(chan struct{})
	page := New(Options{Tap: func(name string, emit func([]byte)) (func(), bool) {
		if name != "meter" {
			return nil, false
		}
		emits <- emit
		return func() { close(stopped) }, true
	}})
	server := httptest.NewServer(page.Handler())
	defer server.Close()
	addr := strings.TrimPrefix(server.URL, "http://")
	if err := Tap(t.Context(), addr, "nobody", nil); err == nil || !strings.Contains(err.Error(), "no such device") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out, ended := make(lines, 8), make(chan error, 1)
	go func() { ended <- Tap(ctx, addr, "meter", out) }()
	(<-emits)([]byte("one\n"))
	if got := <-out; got != "one\n" {
		t.Errorf("%q", got)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("%v", err)
	}
	<-stopped
}

func TestTapIsForThisMachine(t *testing.T) {
	here := &net.TCPAddr{IP: net.IPv4(192, 168, 1, 5), Port: 8077}
	for from, want := range map[string]int{"192.0.2.7:5000": 403, "[2001:db8::1]:5000": 403, "": 403, "127.0.0.1:5000": 404,
		"[::1]:5000": 404, "192.168.1.5:5000": 404, "[::ffff:192.168.1.5]:5000": 404} {
		asked := false
		page := New(Options{Tap: func(string, func([]byte)) (func(), bool) { asked = true; return nil, false }})
		r := httptest.NewRequest("GET", "/tap/meter", nil)
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(here)))
		r.Host, r.RemoteAddr = "192.168.1.5:8077", from
		w := httptest.NewRecorder()
		if page.Handler().ServeHTTP(w, r); w.Code != want || asked != (want == 404) {
			t.Errorf("from %q: %d, asked %v", from, w.Code, asked)
		}
	}
}

package statuspage

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// retryListen is how often a taken address is tried again.
const retryListen = 15 * time.Second

// Options configure a Page.
type Options struct {
	Listen  string        // host:port; a host that is not loopback is the caller's decision
	Status  func() Status // called for every request
	Healthy func() error  // nil: the loops make progress; whatever the uplink does
	Fault   func(error)   // called with an error when the address cannot be had, and with nil when it can again; may be nil
	Server  ServerOptions
}

// Page serves the status. Create it with New.
type Page struct{ o Options }

// New returns a page that is not listening yet.
func New(o Options) *Page {
	if o.Fault == nil {
		o.Fault = func(error) {}
	}
	return &Page{o}
}

// Run serves until ctx is done. An address that is taken is tried again; it never ends the agent.
func (p *Page) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.o.Listen)
		if err == nil {
			p.o.Fault(nil)
			s := NewServer(p.Handler(), p.o.Server)
			defer context.AfterFunc(ctx, s.Close)()
			return s.Serve(l)
		}
		if ctx.Err() == nil {
			p.o.Fault(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryListen):
		}
	}
	return nil
}

// Handler is the page as a handler: GET and HEAD of /status, /metrics, /healthz, /readyz. It changes nothing and shows nothing of
// what goes over a port: whoever may ask more asks over the socket.
func (p *Page) Handler() http.Handler {
	mux := http.NewServeMux()
	p.routes(mux)
	mux.HandleFunc("/tap/", onlyOverSocket)
	return onlyReads(onlyByAddress(mux))
}

// routes are those that page and socket share.
func (p *Page) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /status", p.status)
	mux.HandleFunc("GET /metrics", p.metrics)
	mux.HandleFunc("GET /healthz", p.healthz)
	mux.HandleFunc("GET /readyz", p.readyz)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("linkbeat: /status /metrics /healthz /readyz\n"))
	})
}

func onlyOverSocket(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "a tap is not for everybody on this machine: use linkbeat tap on the gateway, which asks over "+
		"the agent's socket, or linkbeatctl tap", http.StatusForbidden)
}

// onlyReads refuses what wants to change something, and a body, which nothing here reads.
func onlyReads(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			w.Header().Set("Connection", "close")
			http.Error(w, "this page is only read: use GET", http.StatusMethodNotAllowed)
		case r.ContentLength != 0:
			w.Header().Set("Connection", "close")
			http.Error(w, "this page takes no body", http.StatusBadRequest)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// onlyByAddress refuses requests that name another host than one by which this page can be meant: a page in somebody's browser
// must not read a gateway through a name that it points here (DNS rebinding). Who comes by way of loopback must have said
// loopback; from elsewhere any IP address is one.
func onlyByAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		switch {
		case strings.EqualFold(strings.TrimSuffix(host, "."), "localhost"):
		case err != nil:
			http.Error(w, "ask for this page by IP address or as localhost", http.StatusForbidden)
			return
		case !ip.Unmap().IsLoopback() && byLoopback(r):
			http.Error(w, "ask for this page as 127.0.0.1 or localhost", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// byLoopback reports whether a request came in over the loopback interface.
func byLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	to, err := netip.ParseAddrPort(local.String())
	return err == nil && to.Addr().Unmap().IsLoopback()
}

func (p *Page) status(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, p.o.Status())
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // on error the client is gone
}

func (p *Page) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(AppendMetrics(nil, p.o.Status()))
}

func (p *Page) healthz(w http.ResponseWriter, _ *http.Request) {
	if err := p.o.Healthy(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

func (p *Page) readyz(w http.ResponseWriter, _ *http.Request) {
	if s := p.o.Status(); s.Uplink.State != "up" {
		http.Error(w, "uplink is "+s.Uplink.State+": "+s.Why, http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

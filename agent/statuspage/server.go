package statuspage

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/agent/printable"
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
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch why := notByAddress(r); {
		case !reads(r):
			refuse(w, "this page is only read: use GET", http.StatusMethodNotAllowed)
		case r.ContentLength != 0:
			refuse(w, noBody, http.StatusBadRequest)
		case why != "":
			refuse(w, why, http.StatusForbidden)
		case strings.HasPrefix(r.URL.Path, tapPath):
			refuse(w, "a tap is not for everybody on this machine: use linkbeat tap on the gateway, which asks over "+
				"the agent's socket, or linkbeatctl tap", http.StatusForbidden)
		default:
			p.read(w, r)
		}
	})
}

// noBody is said of what nothing here reads.
const noBody = "this takes no body"

// reads reports whether a request wants to change nothing.
func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// refuse answers a request that is not as it must be, and ends its connection.
func refuse(w http.ResponseWriter, why string, code int) {
	if code == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", "GET, HEAD")
	}
	w.Header().Set("Connection", "close")
	http.Error(w, printable.Line(why), code)
}

// read answers what page and socket share. (There are too few paths for http.ServeMux, which weighs 38 kB in the program.)
func (p *Page) read(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/status":
		writeJSON(w, p.shown())
	case "/metrics":
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(AppendMetrics(nil, p.shown()))
	case "/healthz":
		p.healthz(w)
	case "/readyz":
		p.readyz(w)
	case "/":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("linkbeat: /status /metrics /healthz /readyz\n"))
	default:
		http.Error(w, "404 page not found", http.StatusNotFound)
	}
}

// notByAddress says why a request is refused that names another host than one by which this page can be meant: a page in
// somebody's browser must not read a gateway through a name that it points here (DNS rebinding). Who comes by way of loopback
// must have said loopback; from elsewhere any IP address is one.
func notByAddress(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return ""
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil || ip.IsUnspecified() {
		return "ask for this page by IP address or as localhost"
	}
	return ""
}

// shown is the status as it may be printed, whoever reads it and wherever its strings are from.
func (p *Page) shown() Status {
	s := p.o.Status()
	printable.Deep(&s, MaxText)
	return s
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = printable.Encode(w, v, true) // on error the client is gone
}

func (p *Page) healthz(w http.ResponseWriter) {
	if err := p.o.Healthy(); err != nil {
		http.Error(w, printable.Line(err.Error()), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

func (p *Page) readyz(w http.ResponseWriter) {
	if s := p.shown(); s.Uplink.State != "up" {
		http.Error(w, printable.Line("uplink is "+s.Uplink.State+": "+s.Why), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

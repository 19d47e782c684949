package statuspage

import (
	"context"
	"errors"
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
	// Tap lets emit see what goes over the port of a device, as text, until stop; false: there is no such device. emit does not
	// wait and may be called by several goroutines at once. If nil, there are no taps.
	Tap   func(name string, emit func(text []byte)) (stop func(), ok bool)
	Fault func(error) // called with an error when the address cannot be had, and with nil when it can again; may be nil
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
			return p.serve(ctx, l)
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

func (p *Page) serve(ctx context.Context, l net.Listener) error {
	s := &http.Server{Handler: p.Handler(), ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Handler is the page as a handler: GET and HEAD of /status, /metrics, /healthz, /readyz, and for this machine alone /tap/<name>.
func (p *Page) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", p.status)
	mux.HandleFunc("GET /metrics", p.metrics)
	mux.HandleFunc("GET /healthz", p.healthz)
	mux.HandleFunc("GET /readyz", p.readyz)
	mux.HandleFunc("GET /tap/{name}", p.tap)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("linkbeat: /status /metrics /healthz /readyz\n"))
	})
	return onlyByAddress(mux)
}

// onlyByAddress refuses requests that name a host other than an IP address or localhost: a page in somebody's browser must
// not read a gateway through a name that it points here (DNS rebinding).
func onlyByAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil && host != "localhost" {
			http.Error(w, "ask for this page by IP address or as localhost", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// shown is the status as it may be printed, whoever reads it and wherever its strings are from.
func (p *Page) shown() Status {
	s := p.o.Status()
	printable.Deep(&s, MaxText)
	return s
}

func (p *Page) status(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = printable.Encode(w, p.shown(), true) // on error the client is gone
}

func (p *Page) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(AppendMetrics(nil, p.shown()))
}

func (p *Page) healthz(w http.ResponseWriter, _ *http.Request) {
	if err := p.o.Healthy(); err != nil {
		http.Error(w, printable.Line(err.Error()), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

func (p *Page) readyz(w http.ResponseWriter, _ *http.Request) {
	if s := p.shown(); s.Uplink.State != "up" {
		http.Error(w, printable.Line("uplink is "+s.Uplink.State+": "+s.Why), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

package statuspage

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	requestWithin = 5 * time.Second  // from the first byte, or a connection without one, to a whole request
	answerWithin  = 10 * time.Second // for the client to take an answer
	idleWithin    = time.Minute      // between two requests
	maxRequest    = 8 << 10          // bytes of a request before its body
	mostSeats     = 64
)

// ServerOptions bound a Server.
type ServerOptions struct {
	Seats int               // connections at once; if zero, 64
	Log   func(text string) // told what goes wrong, once a minute at most; may be nil
}

// Server answers HTTP on listeners and keeps bounds that no client can move: so many connections, so many bytes of a request, so
// long for it. Create it with NewServer.
type Server struct {
	http  *http.Server
	seats *seats
	log   *murmur
}

// seatKey is the key of a request's context under which its seat is found.
type seatKey struct{}

// taken is the seat of a request.
type taken struct {
	server *Server
	conn   net.Conn
}

// Conn is the connection that a request came by, found under its context; nil: by none of a Server.
func Conn(ctx context.Context) net.Conn {
	t, _ := ctx.Value(seatKey{}).(taken)
	return t.conn
}

// NewServer returns a server that answers by h.
func NewServer(h http.Handler, o ServerOptions) *Server {
	if o.Seats == 0 {
		o.Seats = mostSeats
	}
	s := &Server{seats: &seats{most: o.Seats, all: map[net.Conn]*seat{}}, log: &murmur{say: o.Log}}
	s.http = &http.Server{
		Handler: s.seated(h), ReadTimeout: requestWithin, WriteTimeout: answerWithin, IdleTimeout: idleWithin,
		MaxHeaderBytes: maxRequest, ErrorLog: log.New(s.log, "", 0), ConnState: s.changed,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, seatKey{}, taken{s, conn})
		},
	}
	return s
}

// Serve answers on l until l or the server is closed. It may be called with several listeners, which share the bounds.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(l)
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Close ends all connections and closes all listeners.
func (s *Server) Close() { _ = s.http.Close() }

// changed is called before a new connection is served, and after its end. A new one that waits here keeps the next ones in the
// kernel's queue: whoever comes a thousand times a second does not drive out who has just asked.
func (s *Server) changed(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		time.Sleep(s.seats.wait(time.Now()))
		if leaves := s.seats.came(conn, time.Now()); leaves != nil {
			_ = leaves.Close()
			s.log.note(time.Now(), fmt.Sprintf("all %d connections are taken: the one that was idle for the longest was closed",
				s.seats.most))
		}
	case http.StateClosed, http.StateHijacked:
		s.seats.left(conn)
	}
}

func (s *Server) seated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if t, ok := r.Context().Value(seatKey{}).(taken); ok {
			s.seats.asked(t.conn, time.Now())
			defer func() { s.seats.answered(t.conn, time.Now()) }()
		}
		next.ServeHTTP(w, r)
	})
}

// works is called by a handler that takes its time: meanwhile its connection leaves only where nobody is idle.
func works(r *http.Request) {
	if t, ok := r.Context().Value(seatKey{}).(taken); ok {
		t.server.seats.works(t.conn, time.Now())
	}
}

// stays is called by a handler whose answer lasts: its connection does not leave for a new one.
func stays(r *http.Request) {
	if t, ok := r.Context().Value(seatKey{}).(taken); ok {
		t.server.seats.keep(t.conn, time.Now())
	}
}

// murmurEvery is how often something is said that may happen at any rate.
const murmurEvery = time.Minute

// murmur says the first of what happens, and then at most one thing a minute, with how many were not said. Safe for concurrent
// use.
type murmur struct {
	say func(text string) // nil: nobody listens

	mu     sync.Mutex
	next   time.Time
	unsaid int
}

// Write is for log.Logger: a text with a newline.
func (m *murmur) Write(p []byte) (int, error) {
	m.note(time.Now(), strings.TrimSpace(string(p)))
	return len(p), nil
}

func (m *murmur) note(now time.Time, text string) {
	if m.say == nil {
		return
	}
	m.mu.Lock()
	if now.Before(m.next) {
		m.unsaid++
		m.mu.Unlock()
		return
	}
	if m.unsaid > 0 {
		text += fmt.Sprintf(" (and %d times something like it before)", m.unsaid)
	}
	m.next, m.unsaid = now.Add(murmurEvery), 0
	m.mu.Unlock()
	m.say(text)
}

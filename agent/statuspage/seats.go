package statuspage

import (
	"net"
	"sync"
	"time"
)

// seats are the connections of a server, no more than there are seats: the one that has been idle for the longest leaves for a
// new one. Idle is who waits for an answer to nothing, also who is slow to ask: between the bytes of a request that is not
// complete time goes on. Safe for concurrent use.
type seats struct {
	most int

	mu  sync.Mutex
	all map[net.Conn]*seat
}

// seat is one connection.
type seat struct {
	since time.Time // of coming, of the last answer, or of the request that is being answered
	busy  bool      // a request is being answered
	stays bool      // it is a tap, which is meant to last: there are few
}

// came is called with a new connection. It returns the one that must leave; nil: none.
func (s *seats) came(conn net.Conn, now time.Time) (leaves net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= s.most {
		leaves = s.longest()
		delete(s.all, leaves)
	}
	s.all[conn] = &seat{since: now}
	return leaves
}

// longest is who has been idle for the longest; where nobody is, who has been answered for the longest: it does not read.
func (s *seats) longest() (found net.Conn) {
	var first *seat
	for conn, c := range s.all {
		if c.stays {
			continue
		}
		if first == nil || first.busy && !c.busy || first.busy == c.busy && c.since.Before(first.since) {
			first, found = c, conn
		}
	}
	return found
}

// left is called when a connection has ended.
func (s *seats) left(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, conn)
}

// asked is called when a request is there, and answered after it.
func (s *seats) asked(conn net.Conn, now time.Time) { s.note(conn, seat{since: now, busy: true}) }

func (s *seats) answered(conn net.Conn, now time.Time) { s.note(conn, seat{since: now}) }

// keep is called when a request turns out to be one that lasts.
func (s *seats) keep(conn net.Conn, now time.Time) {
	s.note(conn, seat{since: now, busy: true, stays: true})
}

func (s *seats) note(conn net.Conn, is seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.all[conn]; c != nil { // else it had to leave
		*c = is
	}
}

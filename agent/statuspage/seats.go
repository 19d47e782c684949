package statuspage

import (
	"net"
	"sync"
	"time"
)

// seats are the connections of a server, no more than there are seats: the one that has been idle for the longest leaves for a
// new one. Idle is also who is slow to ask, and who does not read the answer: but for what takes its time, an answer is ready
// in a moment. Safe for concurrent use.
type seats struct {
	most int

	mu  sync.Mutex
	all map[net.Conn]*seat
}

// seat is one connection.
type seat struct {
	since time.Time // of coming, of the last answer, or of the request that is being answered
	busy  bool      // what is asked takes its time: a reload
	stays bool      // it is a tap, which is meant to last: there are few
}

// leastSeat is how long a connection keeps its seat, if others want it: what it has asked already is read and answered by
// then, on a busy machine too. Beside 1,024 strangers a health check over TCP may wait some seconds for that; over the socket
// none.
const leastSeat = 100 * time.Millisecond

// wait is called before came: so long a new connection is to wait, as everybody has only just come. At most leastSeat.
func (s *seats) wait(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) < s.most {
		return 0
	}
	c := s.all[s.longest()]
	if c == nil {
		return 0
	}
	return min(leastSeat, leastSeat-now.Sub(c.since))
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

// longest is who has been idle for the longest; where nobody is, who has been busy for the longest.
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
func (s *seats) asked(conn net.Conn, now time.Time) { s.note(conn, seat{since: now}) }

// works is called when a request turns out to be one that takes its time until there is an answer.
func (s *seats) works(conn net.Conn, now time.Time) { s.note(conn, seat{since: now, busy: true}) }

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

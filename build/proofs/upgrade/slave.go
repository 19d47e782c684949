package upgrade

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Registers of each unit.
const (
	flow     = 8
	setpoint = 16
)

// slave is a Modbus TCP slave with one unit, whatever its address; functions 3, 4 and 6, 16. It takes its
// time for the first answer.
type slave struct {
	addr    string
	answers chan struct{} // closed when it begins to answer
	begin   sync.Once

	mu     sync.Mutex
	words  map[int]uint16 // by address
	writes int
}

// newSlave listens.
func newSlave(e *kit.Env) (*slave, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("slave: %w", err)
	}
	s := &slave{addr: l.Addr().String(), answers: make(chan struct{}), words: map[int]uint16{}}
	e.Defer(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			go s.serve(e.Ctx, c)
		}
	}()
	return s, nil
}

// answer makes it answer what it is asked, and was asked.
func (s *slave) answer() { s.begin.Do(func() { close(s.answers) }) }

func (s *slave) set(address int, value uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.words[address] = value
}

// written counts writes.
func (s *slave) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// serve answers one connection; an MBAP header is transaction, protocol, length of what follows it, and unit.
func (s *slave) serve(ctx context.Context, c net.Conn) {
	defer c.Close()
	for {
		head := make([]byte, 7)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		pdu := make([]byte, int(binary.BigEndian.Uint16(head[4:]))-1)
		if _, err := io.ReadFull(c, pdu); err != nil || len(pdu) < 5 {
			return
		}
		select {
		case <-s.answers:
		case <-ctx.Done():
			return
		}
		answer := s.carryOut(pdu)
		binary.BigEndian.PutUint16(head[4:], uint16(len(answer)+1))
		if _, err := c.Write(append(head, answer...)); err != nil {
			return
		}
	}
}

var errFunction = errors.New("no such function")

func (s *slave) carryOut(pdu []byte) []byte {
	answer, err := s.function(pdu)
	if err != nil {
		return []byte{pdu[0] | 0x80, 1}
	}
	return answer
}

func (s *slave) function(pdu []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	address, n := int(binary.BigEndian.Uint16(pdu[1:])), binary.BigEndian.Uint16(pdu[3:])
	switch pdu[0] {
	case 3, 4:
		answer := []byte{pdu[0], byte(2 * n)}
		for i := range int(n) {
			answer = binary.BigEndian.AppendUint16(answer, s.words[address+i])
		}
		return answer, nil
	case 6:
		s.words[address] = n
		s.writes++
		return pdu, nil
	case 16:
		for i := range int(n) {
			s.words[address+i] = binary.BigEndian.Uint16(pdu[6+2*i:])
		}
		s.writes++
		return pdu[:5], nil
	}
	return nil, errFunction
}

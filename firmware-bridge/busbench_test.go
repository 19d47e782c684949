package bridge

import (
	"encoding/binary"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

// slaves play the units on a fake port: holding registers only.
type slaves struct {
	protocol modbus.Protocol
	port     *porttest.Port

	mu       sync.Mutex
	delay    time.Duration
	words    map[byte]map[uint16]uint16       // by unit; one that is missing is dead
	missed   map[uint16]bool                  // addresses that no unit has
	stuck    map[uint16]bool                  // what is written there does not stay
	mute     int                              // so many requests are not answered
	ignores  func(unit byte, pdu []byte) bool // what is not answered; nil: nothing
	slow     map[byte]time.Duration           // units with a delay of their own
	refuses  func(pdu []byte) bool            // what gets ILLEGAL DATA VALUE; nil: nothing
	says     map[byte]modbus.Exception        // the answer to a function that is carried out
	wasAsked []wasAsked
}

type wasAsked struct {
	unit byte
	pdu  []byte
	at   time.Time
}

func (s *slaves) plug(p *porttest.Port) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.port = p
	p.OnWrite = s.write
}

func (s *slaves) write(p []byte, _ time.Time) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	unit, pdu, transaction := parseLine(s.protocol, p)
	s.wasAsked = append(s.wasAsked, wasAsked{unit, pdu, time.Now()})
	words := s.words[unit]
	if s.mute > 0 {
		s.mute--
		return len(p), nil
	}
	if words == nil || s.ignores != nil && s.ignores(unit, pdu) {
		return len(p), nil
	}
	said := s.answer(words, pdu)
	if e := s.says[pdu[0]]; e != 0 {
		said = []byte{pdu[0] | modbus.ExceptionFlag, byte(e)}
	}
	answer := s.protocol.Append(nil, modbus.Query{Unit: unit, PDU: said, Transaction: transaction})
	to := s.port
	delay, own := s.slow[unit]
	if !own {
		delay = s.delay
	}
	time.AfterFunc(delay, func() { to.In <- answer })
	return len(p), nil
}

func (s *slaves) answer(words map[uint16]uint16, pdu []byte) []byte {
	address := binary.BigEndian.Uint16(pdu[1:])
	if s.refuses != nil && s.refuses(pdu) {
		return []byte{pdu[0] | 0x80, 3}
	}
	switch pdu[0] {
	case 3:
		count := binary.BigEndian.Uint16(pdu[3:])
		out := []byte{3, byte(2 * count)}
		for a := address; a < address+count; a++ {
			if s.missed[a] {
				return []byte{0x83, 2}
			}
			out = binary.BigEndian.AppendUint16(out, words[a])
		}
		return out
	case 6:
		if !s.stuck[address] {
			words[address] = binary.BigEndian.Uint16(pdu[3:])
		}
		return pdu
	case 16:
		for i := range binary.BigEndian.Uint16(pdu[3:]) {
			words[address+i] = binary.BigEndian.Uint16(pdu[6+2*i:])
		}
		return pdu[:5]
	}
	return []byte{pdu[0] | 0x80, 1}
}

func parseLine(p modbus.Protocol, line []byte) (unit byte, pdu []byte, transaction uint16) {
	switch p {
	case modbus.ASCII:
		var body []byte
		for i := 1; i+1 < len(line)-2; i += 2 {
			body = append(body, digit(line[i])<<4|digit(line[i+1]))
		}
		return body[0], body[1 : len(body)-1], 0
	case modbus.TCP:
		return line[6], append([]byte(nil), line[7:]...), binary.BigEndian.Uint16(line)
	}
	return line[0], append([]byte(nil), line[1:len(line)-2]...), 0
}

func digit(b byte) byte {
	if b >= 'A' {
		return b - 'A' + 10
	}
	return b - '0'
}

// busBench is a bus on a fake port, in a bubble.
type busBench struct {
	*bench
	slaves *slaves

	mu     sync.Mutex
	values []Values
}

func newBusBench(t *testing.T, o ModbusOptions) *busBench {
	b := &busBench{slaves: &slaves{protocol: modbus.RTU, delay: 5 * time.Millisecond, words: map[byte]map[uint16]uint16{}}}
	if o.Protocol != "" {
		b.slaves.protocol = o.Protocol
	}
	b.bench = newBench(t, func(bo *Options) {
		bo.Baud, bo.Modbus, bo.OnFrame, bo.Framing = 115200, &o, nil, framing.Spec{}
		bo.OnValues = func(v Values) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			v.Readings = append([]Reading(nil), v.Readings...)
			b.values = append(b.values, v)
			return nil
		}
	})
	for _, u := range o.Units {
		b.slaves.words[u.Address] = map[uint16]uint16{}
	}
	b.connect()
	return b
}

// connect plugs the units in.
func (b *busBench) connect() {
	p := porttest.NewPort(serialport.ErrGone)
	b.slaves.plug(p)
	b.bench.mu.Lock()
	defer b.bench.mu.Unlock()
	b.port = p
}

func (b *busBench) told(unit string) (out []Values) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range b.values {
		if v.Unit == unit {
			out = append(out, v)
		}
	}
	return out
}

func (b *busBench) wasAsked(unit byte) (out []wasAsked) {
	b.slaves.mu.Lock()
	defer b.slaves.mu.Unlock()
	for _, a := range b.slaves.wasAsked {
		if a.unit == unit {
			out = append(out, a)
		}
	}
	return out
}

func (b *busBench) change(f func(*slaves)) {
	b.slaves.mu.Lock()
	defer b.slaves.mu.Unlock()
	f(b.slaves)
}

// set writes values and waits for how it ends.
func (b *busBench) set(unit string, values map[string]string) (Answer, error) {
	type end struct {
		a   Answer
		err error
	}
	ended := make(chan end, 1)
	if err := b.dev.Set(unit, values, time.Time{}, func(a Answer, err error) { ended <- end{a, err} }); err != nil {
		return Answer{}, err
	}
	synctest.Wait()
	e := <-ended
	return e.a, e.err
}

func (b *busBench) request(r Request) (Answer, error) {
	type end struct {
		a   Answer
		err error
	}
	ended := make(chan end, 1)
	if err := b.dev.Request(r, func(a Answer, err error) { ended <- end{a, err} }); err != nil {
		return Answer{}, err
	}
	e := <-ended
	return e.a, e.err
}

// enqueue writes values and does not wait.
func (b *busBench) enqueue(unit string, values map[string]string, expires time.Time) <-chan ending {
	ended := make(chan ending, 1)
	if err := b.dev.Set(unit, values, expires, func(a Answer, err error) { ended <- ending{a, err, time.Now()} }); err != nil {
		b.t.Fatal(err)
	}
	return ended
}

// ending is how a command ended.
type ending struct {
	a   Answer
	err error
	at  time.Time
}

// worstPeriod of a unit from a moment on, that moment and now included.
func (b *busBench) worstPeriod(unit byte, from time.Time) (worst time.Duration) {
	last := from
	for _, q := range b.wasAsked(unit) {
		if q.at.After(from) {
			worst, last = max(worst, q.at.Sub(last)), q.at
		}
	}
	return max(worst, time.Since(last))
}

// readings are all that was published of one register, in order.
func (b *busBench) readings(unit, name string) (good, bad int, last string) {
	for _, v := range b.told(unit) {
		for _, r := range v.Readings {
			switch {
			case r.Name != name:
				continue
			case r.Bad == "":
				good++
			default:
				bad++
			}
			last = r.String()
		}
	}
	return good, bad, last
}

// address is the register that a request begins with.
func address(pdu []byte) uint16 { return binary.BigEndian.Uint16(pdu[1:]) }

func word(name string, address uint16) modbus.Register {
	return modbus.Register{Name: name, Kind: modbus.Holding, Address: address, Type: "uint16", Every: time.Second, Writable: true}
}

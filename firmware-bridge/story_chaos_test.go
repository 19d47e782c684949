package bridge

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
)

// Units that answer late, in part, garbled or not at all, with commands in between: no value is published that is not
// its register's, nothing is written twice or after it expired, every command ends once, and the one unit that
// behaves is read in its rhythm.
func TestABusOfOddUnitsKeepsItsPromises(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { oddUnits(t, seed) })
		})
	}
}

const (
	oddOnes = 5
	setHere = 900             // is written, and never polled
	longest = 4 * time.Second // of a period of 1 s: five units and their commands may cost a timeout each at the same time
)

// newOddBus is a bus of units of which the last one behaves. writes is when which value was written.
func newOddBus(t *testing.T, r *rand.Rand) (b *busBench, writes map[uint16]time.Time) {
	o := ModbusOptions{Retries: r.IntN(3)}
	for id := 1; id <= oddOnes+1; id++ {
		u := ModbusUnit{Name: fmt.Sprint("u", id), Address: byte(id)}
		for i, at := range oddRegisters() {
			u.Registers = append(u.Registers, every(word(fmt.Sprint("r", at), at), time.Duration(1+i%2)*time.Second))
		}
		u.Registers = append(u.Registers, every(word("set", setHere), 0))
		o.Units = append(o.Units, u)
	}
	b, writes = newBusBench(t, o), map[uint16]time.Time{}
	b.change(func(s *slaves) {
		for id := 1; id <= oddOnes+1; id++ {
			for _, at := range oddRegisters() {
				s.words[byte(id)][at] = uint16(id)*1000 + at
			}
		}
		s.delay, s.slow = 4*time.Millisecond, map[byte]time.Duration{}
		s.ignores = func(unit byte, pdu []byte) bool {
			if pdu[0] == 6 {
				what := binary.BigEndian.Uint16(pdu[3:])
				if _, twice := writes[what]; twice {
					t.Errorf("%d was written twice", what)
				}
				writes[what] = time.Now()
			}
			return unit <= oddOnes && s.odd(r, unit, pdu)
		}
	})
	return b, writes
}

// oddRegisters are those that are polled.
func oddRegisters() []uint16 { return []uint16{0, 1, 200, 201, 400} }

// odd is what a unit does with a request; true: it ignores it.
func (s *slaves) odd(r *rand.Rand, unit byte, pdu []byte) bool {
	s.slow[unit] = time.Duration(3+r.IntN(30)) * time.Millisecond
	switch r.IntN(80) {
	case 0: // late by less than a timeout, or just not
		s.slow[unit] = time.Duration(200+r.IntN(350)) * time.Millisecond
	case 1:
		port := s.port
		noise := []byte{unit, byte(r.IntN(256))}
		time.AfterFunc(time.Duration(r.IntN(60))*time.Millisecond, func() { port.In <- noise })
	case 2:
		return true
	}
	return unit == 2 && address(pdu) == 200 || unit == 3 && time.Now().Second() >= 30
}

func oddUnits(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	b, writes := newOddBus(t, rand.New(rand.NewPCG(seed, 8)))
	b.start()
	var mu sync.Mutex
	ends := map[uint16]int{}
	expiry := map[uint16]time.Time{}
	began, asked := time.Now(), 0
	for what := uint16(1); what <= 600; what++ {
		pass(time.Duration(r.IntN(1000)) * time.Millisecond)
		unit, expires := fmt.Sprint("u", 1+r.IntN(oddOnes+1)), time.Now().Add(time.Duration(r.IntN(2000))*time.Millisecond)
		end := func(Answer, error) { mu.Lock(); defer mu.Unlock(); ends[what]++ }
		err := error(nil)
		if r.IntN(2) == 0 {
			expiry[what] = expires
			err = b.dev.Set(unit, map[string]string{"set": fmt.Sprint(what)}, expires, end)
		} else {
			err = b.dev.Request(Request{Unit: unit, Payload: modbus.ReadPDU(modbus.Holding, uint16(600+r.IntN(9)), 1+r.IntN(2)),
				Expires: expires, Timeout: time.Duration(10+r.IntN(600)) * time.Millisecond}, end)
		}
		if err == nil {
			asked++
		}
	}
	pass(time.Minute)
	for what, at := range writes {
		if at.After(expiry[what]) {
			t.Errorf("%d was written %v after it expired", what, at.Sub(expiry[what]))
		}
	}
	if len(ends) != asked || len(writes) < 100 {
		t.Errorf("%d commands ended of %d, %d writes", len(ends), asked, len(writes))
	}
	for what, n := range ends {
		if n != 1 {
			t.Errorf("command %d ended %d times", what, n)
		}
	}
	b.judge(began)
	b.stop()
}

// judge looks at what was published, and when the unit that behaves was read.
func (b *busBench) judge(began time.Time) {
	for id := 1; id <= oddOnes+1; id++ {
		good := map[string]int{}
		for _, v := range b.told(fmt.Sprint("u", id)) {
			for _, x := range v.Readings {
				var at int
				if _, err := fmt.Sscanf(x.Name, "r%d", &at); err == nil && x.Bad == "" {
					if good[x.Name]++; x.Value.String() != fmt.Sprint(id*1000+at) {
						b.t.Fatalf("unit %d: %s is published as %s", id, x.Name, x.Value)
					}
				}
			}
		}
		for _, at := range oddRegisters() {
			if n := good[fmt.Sprint("r", at)]; n < 50 && !(id == 2 && at == 200) {
				b.t.Errorf("unit %d: r%d was read %d times in %v", id, at, n, time.Since(began))
			}
		}
	}
	var last time.Time
	for _, q := range b.wasAsked(oddOnes + 1) {
		if q.pdu[0] != 3 || address(q.pdu) != 0 {
			continue
		}
		if d := q.at.Sub(last); !last.IsZero() && d > longest {
			b.t.Errorf("the unit that behaves was not read for %v", d)
		}
		last = q.at
	}
}

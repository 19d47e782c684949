package modbus

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// byteTime is a character of 8N1 at 115200 baud.
const byteTime = 10 * time.Second / 115200

// hub is the line: it joins the master's terminal and those of the slaves, and paces both ways. A request goes to the unit that
// it is for: slaves of libmodbus lose step when a request to somebody else stays without an answer, as dead units make it. The
// two ways do not share the line, so nothing can collide here.
type hub struct {
	Port string // for the master

	far   *os.File
	units map[byte]*os.File

	mu       sync.Mutex
	requests []request
	trouble  func(unit byte, pdu []byte) (lost bool, late time.Duration) // what is wrong with a unit; nil: nothing
}

// request is one request as the hub saw it.
type request struct {
	unit byte
	pdu  []byte
	at   time.Time
}

// poll is true for the read that every unit has.
func (r request) poll() bool { return r.pdu[0] == 4 && r.pdu[1] == 0 && r.pdu[2] == 0 }

// newHub makes the line with its slaves, and says how libmodbus finds them.
func newHub(e *kit.Env, name string, units []int) (*hub, []string, error) {
	h := &hub{units: map[byte]*os.File{}}
	var err error
	if h.far, h.Port, err = e.PtyPair(name); err != nil {
		return nil, nil, err
	}
	var args []string
	for _, id := range units {
		far, port, err := e.PtyPair(fmt.Sprint(name, "-", id))
		if err != nil {
			return nil, nil, err
		}
		h.units[byte(id)] = far
		args = append(args, fmt.Sprint(id, ":", port))
		go h.answers(far)
	}
	go h.run()
	return h, args, nil
}

// run takes requests from the master until its terminal is gone.
func (h *hub) run() {
	buf := make([]byte, 4096)
	var got []byte
	var began time.Time
	for {
		n, err := h.far.Read(buf)
		if err != nil {
			return
		}
		if len(got) == 0 {
			began = time.Now()
		}
		got = append(got, buf[:n]...)
		if size := requestSize(got); size == 0 || len(got) < size {
			continue
		}
		lost, late := h.note(request{got[0], append([]byte(nil), got[1:len(got)-2]...), began})
		time.Sleep(time.Until(began.Add(time.Duration(len(got)) * byteTime)))
		if to := h.units[got[0]]; to != nil && !lost {
			line := append([]byte(nil), got...)
			time.AfterFunc(late, func() { _, _ = to.Write(line) }) // a slave that is gone does not answer
		}
		got = got[:0]
	}
}

// note keeps a request and says what becomes of it.
func (h *hub) note(r request) (lost bool, late time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = append(h.requests, r)
	if h.trouble == nil {
		return false, 0
	}
	return h.trouble(r.unit, r.pdu)
}

// disturb changes what is wrong with the units; nil: nothing.
func (h *hub) disturb(trouble func(unit byte, pdu []byte) (lost bool, late time.Duration)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trouble = trouble
}

// requestSize is how long the request is that begins so; 0: not known yet.
func requestSize(p []byte) int {
	switch {
	case len(p) < 7:
		return 0
	case p[1] == 15 || p[1] == 16:
		return 9 + int(p[6])
	}
	return 8
}

// answers carries what one slave says to the master.
func (h *hub) answers(far *os.File) {
	buf := make([]byte, 4096)
	for {
		n, err := far.Read(buf)
		if err != nil {
			return
		}
		time.Sleep(time.Duration(n) * byteTime)
		if _, err := h.far.Write(buf[:n]); err != nil {
			return
		}
	}
}

// since are the requests from a moment on.
func (h *hub) since(t time.Time) (out []request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.requests {
		if r.at.After(t) {
			out = append(out, r)
		}
	}
	return out
}

// stretch is what the line saw between two moments.
type stretch struct {
	began, ended time.Time
	seen         []request
}

// until ends a stretch now.
func (h *hub) until(began time.Time) stretch { return stretch{began, time.Now(), h.since(began)} }

// periods of one unit: the times between two of its polls. Both ends of the stretch count as one, so that a unit that is not
// polled any more, or never was, shows.
func (s stretch) periods(unit byte) (out []time.Duration) {
	last := s.began
	for _, r := range s.seen {
		if r.unit == unit && r.poll() {
			out, last = append(out, r.at.Sub(last)), r.at
		}
	}
	return append(out, s.ended.Sub(last))
}

// worst is the longest period of some units.
func (s stretch) worst(units []int) (worst time.Duration) {
	for _, id := range units {
		worst = max(worst, slices.Max(s.periods(byte(id))))
	}
	return worst
}

// forgotten counts units that were not polled at all.
func (s stretch) forgotten(units []int) (n int) {
	for _, id := range units {
		if len(s.periods(byte(id))) == 1 {
			n++
		}
	}
	return n
}

// later counts the periods of some units that are longer.
func (s stretch) later(units []int, than time.Duration) (n int) {
	for _, id := range units {
		for _, p := range s.periods(byte(id)) {
			if p > than {
				n++
			}
		}
	}
	return n
}

package labmodbus

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// byteTime is a character of 8N1 at 115200 baud.
const byteTime = 10 * time.Second / 115200

// hub is the line: it joins the master's terminal and those of the slaves, and paces both ways. A request goes to the unit that it is
// for: slaves of libmodbus lose step when a request to somebody else stays without an answer, as dead units make it.
type hub struct {
	Port string // for the master

	far   *os.File
	units map[byte]*os.File

	mu       sync.Mutex
	requests []request
}

// request is one request as the hub saw it.
type request struct {
	unit byte
	pdu  []byte
	at   time.Time
}

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
		h.mu.Lock()
		h.requests = append(h.requests, request{got[0], append([]byte(nil), got[1:len(got)-2]...), began})
		h.mu.Unlock()
		time.Sleep(time.Until(began.Add(time.Duration(len(got)) * byteTime)))
		if to := h.units[got[0]]; to != nil {
			if _, err := to.Write(got); err != nil {
				return
			}
		}
		got = got[:0]
	}
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

// periods are the times between two polls of each unit, by unit.
func periods(all []request) map[byte][]time.Duration {
	last, out := map[byte]time.Time{}, map[byte][]time.Duration{}
	for _, r := range all {
		if r.pdu[0] != 4 {
			continue
		}
		if before, ok := last[r.unit]; ok {
			out[r.unit] = append(out[r.unit], r.at.Sub(before))
		}
		last[r.unit] = r.at
	}
	return out
}

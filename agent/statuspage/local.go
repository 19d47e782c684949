package statuspage

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/agent/printable"
)

const (
	tapPath      = "/tap/" // and the name of the device
	mostTaps     = 8
	tapQueue     = 32               // pieces of text that wait for a slow reader; 20 KB each at most, and 8 taps
	tapStuck     = 15 * time.Second // a reader that takes nothing for so long is given up
	reloadTime   = 3 * time.Minute  // more than an agent takes to stop what it runs
	reconnectFor = 30 * time.Second // until what came of a new connection is known
)

// StateDirHeader says in a request over the socket which agent is meant, by its state directory, as url.PathEscape writes it.
// Another one answers 421 (RFC 9110 section 15.5.20), and does nothing.
const StateDirHeader = "Linkbeat-State-Dir"

// Reloaded is what came of a reload.
type Reloaded struct {
	Fault    string   `json:"fault,omitempty"`    // why the document was not taken; empty: it was
	Changes  []string `json:"changes,omitempty"`  // a line each
	More     int      `json:"more,omitempty"`     // changes that are not listed
	Disabled string   `json:"disabled,omitempty"` // which serial devices are out, and why; empty: none
	Warnings []string `json:"warnings,omitempty"`
}

// Reconnected is what came of a wish for another connection, in a sentence: one of both.
type Reconnected struct {
	Done  string `json:"done,omitempty"`
	Fault string `json:"fault,omitempty"` // why there is no other connection
}

// Local is what is answered over the socket beside the page: to those who may open it.
type Local struct {
	StateDir func() string // of the agent
	// Tap lets emit see what goes over the port of a device, as text, until stop; false: there is no such device. emit does not
	// wait and may be called by several goroutines at once. gone is closed when there will be no more.
	Tap       func(name string, emit func(text []byte)) (stop func(), gone <-chan struct{}, ok bool)
	Reload    func(context.Context) Reloaded
	Reconnect func(context.Context) Reconnected
	Taps      int // at once; if zero, 8
}

// local is a Local that serves.
type local struct {
	Local
	taps atomic.Int64
}

// LocalHandler is the page and all that is not for everybody on the machine: GET /tap/<name>, POST /reload and /reconnect.
func (p *Page) LocalHandler(o Local) http.Handler {
	if o.Taps == 0 {
		o.Taps = mostTaps
	}
	l := &local{Local: o}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		is, meant := l.StateDir(), r.Header.Get(StateDirHeader)
		device, tap := strings.CutPrefix(r.URL.Path, tapPath)
		switch {
		case meant != "" && meant != url.PathEscape(is):
			http.Error(w, printable.Line("its state_dir is "+is), http.StatusMisdirectedRequest)
		case r.ContentLength != 0:
			refuse(w, noBody, http.StatusBadRequest)
		case r.Method == http.MethodPost && r.URL.Path == "/reload":
			ctx, cancel := lasting(w, r, reloadTime)
			defer cancel()
			is := l.Reload(ctx)
			printable.Deep(&is, MaxText)
			writeJSON(w, is)
		case r.Method == http.MethodPost && r.URL.Path == "/reconnect":
			ctx, cancel := lasting(w, r, reconnectFor)
			defer cancel()
			is := l.Reconnect(ctx)
			printable.Deep(&is, MaxText)
			writeJSON(w, is)
		case !reads(r):
			refuse(w, "this is only read: use GET", http.StatusMethodNotAllowed)
		case tap:
			l.tap(w, r, device)
		default:
			p.read(w, r)
		}
	})
}

// tap streams the traffic of a device until the client or the device goes.
func (l *local) tap(w http.ResponseWriter, r *http.Request, device string) {
	defer l.taps.Add(-1)
	if l.taps.Add(1) > int64(l.Taps) {
		http.Error(w, printable.Sprintf("%d taps are open already, and there can be no more: end one of them", l.Taps),
			http.StatusServiceUnavailable)
		return
	}
	text, lost := make(chan []byte, tapQueue), atomic.Int64{}
	stop, gone, ok := l.Tap(device, func(t []byte) {
		select {
		case text <- t:
		default:
			lost.Add(1)
		}
	})
	if !ok {
		http.Error(w, "no such device", http.StatusNotFound)
		return
	}
	defer stop()
	stays(r)
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // the client may be silent for as long as it likes
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	for err := c.Flush(); err == nil; err = c.Flush() {
		select {
		case <-r.Context().Done():
			return
		case <-gone:
			_ = c.SetWriteDeadline(time.Now().Add(tapStuck))
			_ = printable.Fprintf(w, "! the device has ended or was configured anew: tap it again\n")
			return
		case t := <-text:
			_ = c.SetWriteDeadline(time.Now().Add(tapStuck))
			if n := lost.Swap(0); n > 0 {
				_ = printable.Fprintf(w, "! %d pieces dropped here: the output is slower than the port\n", n)
			}
			if _, err := w.Write(t); err != nil {
				return
			}
		}
	}
}

// lasting gives a request that takes its time the deadlines for it, and a context with the same end.
func lasting(w http.ResponseWriter, r *http.Request, most time.Duration) (context.Context, context.CancelFunc) {
	works(r)
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{})
	_ = c.SetWriteDeadline(time.Now().Add(most + answerWithin))
	return context.WithTimeout(r.Context(), most)
}

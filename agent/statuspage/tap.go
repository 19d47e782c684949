package statuspage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/agent/printable"
)

const (
	tapQueue = 256              // pieces of text that wait for a slow reader
	tapStuck = 15 * time.Second // a reader that takes nothing for so long is given up
)

// tap streams the traffic of a device until the client goes. Only for this machine, whatever the page listens on: it shows what
// no one else is meant to read.
func (p *Page) tap(w http.ResponseWriter, r *http.Request) {
	if !fromHere(r) || p.o.Tap == nil {
		http.Error(w, "a tap is for this machine alone: use linkbeat tap on the gateway, or linkbeatctl tap",
			http.StatusForbidden)
		return
	}
	text, lost := make(chan []byte, tapQueue), atomic.Int64{}
	stop, ok := p.o.Tap(r.PathValue("name"), func(t []byte) {
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
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // the client may be silent for as long as it likes
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	for err := c.Flush(); err == nil; err = c.Flush() {
		select {
		case <-r.Context().Done():
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

// fromHere reports whether a request comes from this machine: from a loopback address, or from the very address that it went to.
func fromHere(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	if from.Addr().Unmap().IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	to, err := netip.ParseAddrPort(local.String())
	return err == nil && to.Addr().Unmap() == from.Addr().Unmap()
}

// errTapEnded says that the agent ended a tap.
var errTapEnded = errors.New("the agent has ended")

// Tap copies what goes over the port of a device to out until ctx ends; addr as in [Fetch].
func Tap(ctx context.Context, addr, name string, out io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/tap/"+url.PathEscape(name), nil)
	if err != nil {
		return err
	}
	res, done, err := ask(ctx, addr, req)
	if err != nil {
		return fmt.Errorf("no agent on %s: %w; is it running (linkbeat run), and is http.listen right?", addr, err)
	}
	defer done()
	if res.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(res.Body, maxHeaders))
		return fmt.Errorf("device %q: %s", name, printable.Words(string(why), MaxText))
	}
	_, err = io.Copy(out, res.Body)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", errTapEnded, err)
	}
	return errTapEnded
}

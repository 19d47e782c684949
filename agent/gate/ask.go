package gate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/linkbeat/linkbeat/agent/statuspage"
)

// maxHead is the most that is read of an answer before its body, in bytes.
const maxHead = 16 << 10

var (
	// ErrNoAgent is wrapped by what is returned where no agent answers.
	ErrNoAgent = errors.New("no agent")
	// ErrMayNot is wrapped by what is returned to a user who may not open the agent's socket.
	ErrMayNot = errors.New("not allowed")
)

// Where says where an agent is looked for. Sockets, Listen or both must be set.
type Where struct {
	Sockets  []string     // paths, asked in this order; see [Sockets]
	Listen   string       // host:port of its page, for when no socket answers; empty: none
	StateDir string       // of the agent that is meant: its owner is the agent's user
	Sure     bool         // an agent with another state directory is not the one that is meant
	Say      func(string) // tells a person about the way that was gone; may be nil
}

// overTCP says when a request may go over TCP.
type overTCP int

const (
	never    overTCP = iota
	noSocket         // to an agent of an earlier version, which has none
	always           // where no socket answers this user
)

// ask sends a request to the agent, over its socket, or over TCP where no socket answers and tcp allows it. done ends it.
func (w Where) ask(ctx context.Context, method, path string, tcp overTCP) (res *http.Response, done func(), err error) {
	var tried, others []string
	var mayNot error
	for _, socket := range w.Sockets {
		res, done, err := w.askSocket(ctx, socket, method, path)
		switch {
		case err == nil && res.StatusCode != http.StatusMisdirectedRequest:
			return res, done, nil
		case err == nil:
			others, tried = append(others, socket), append(tried, socket+" is another agent's: "+text(res))
			done()
		case errors.Is(err, fs.ErrPermission):
			why := mayNotOpen(socket)
			if tried = append(tried, why); mayNot == nil { // the first place is the likeliest
				mayNot = fmt.Errorf("%w: %s", ErrMayNot, why)
			}
		case errors.Is(ctx.Err(), context.Canceled):
			return nil, nil, fmt.Errorf("interrupted before %s answered: what was asked of it may be done all the same: %w",
				socket,
				ctx.Err())
		default:
			tried = append(tried, notReached(socket, err))
		}
	}
	if len(others) == 1 && mayNot == nil && w.Say != nil {
		return w.askTheOther(ctx, others[0], method, path, tried)
	}
	if mayNot != nil && tcp != always {
		return nil, nil, mayNot
	}
	if w.Listen == "" || tcp == never {
		return nil, nil, fmt.Errorf("%w answers: %s; is it running (linkbeat run)?", ErrNoAgent, strings.Join(tried, "; "))
	}
	if len(tried) > 0 && w.Say != nil {
		w.Say(fmt.Sprintf("asked over TCP on %s, where whoever takes the port first can answer: %s",
			w.Listen, strings.Join(tried, "; ")))
	}
	res, done, err = w.askTCP(ctx, method, path)
	switch {
	case err == nil:
		return res, done, nil
	case mayNot != nil:
		return nil, nil, fmt.Errorf("%w; and nothing on %s: %w", mayNot, w.Listen, err)
	}
	return nil, nil, fmt.Errorf("%w on %s: %w; is it running (linkbeat run), and is http.listen right?", ErrNoAgent,
		w.Listen, err)
}

// askTheOther asks the one agent that answers, though its state directory is not the document's: that may just have been changed.
// It only tells; what acts wants to be told by a person which agent is meant.
func (w Where) askTheOther(ctx context.Context, socket, method, path string, tried []string) (*http.Response, func(), error) {
	if method != http.MethodGet {
		return nil, nil, fmt.Errorf("%w answers: %s; if that is the one (state_dir was changed, or is set in its environment), "+
			"say --socket %s", ErrNoAgent, strings.Join(tried, "; "), socket)
	}
	w.Say("the only agent here is not the one of this configuration: " + strings.Join(tried, "; "))
	w.Sure = false
	return w.askSocket(ctx, socket, method, path)
}

func (w Where) askSocket(ctx context.Context, socket, method, path string) (*http.Response, func(), error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://linkbeat"+path, nil)
	if err != nil {
		return nil, nil, err
	}
	if w.Sure {
		req.Header.Set(statuspage.StateDirHeader, url.PathEscape(filepath.Clean(w.StateDir)))
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, nil, err
	}
	if uid, err := peer(conn.(*net.UnixConn)); err != nil || !w.trusts(uid, filepath.Dir(socket)) {
		_ = conn.Close()
		return nil, nil, errors.Join(err, stranger(uid))
	}
	return exchange(ctx, conn, req)
}

func (w Where) askTCP(ctx context.Context, method, path string) (*http.Response, func(), error) {
	addr := reachable(w.Listen)
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, nil)
	if err != nil {
		return nil, nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	us, errUs := netip.ParseAddrPort(conn.LocalAddr().String())
	them, errThem := netip.ParseAddrPort(conn.RemoteAddr().String())
	who := answerer{}
	if errUs == nil && errThem == nil {
		who = answering(us, them)
	}
	switch {
	case who.known && !w.trustsSomewhere(who.uid):
		err = stranger(who.uid)
	case who.gone:
		err = errors.New("what answers there hangs up before it is asked, so that it cannot be told who it is: not believed")
	case !who.known && w.Say != nil:
		w.Say("who answers on " + w.Listen + " cannot be told")
	}
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return exchange(ctx, conn, req)
}

// trusts tells whether a user may answer as the agent: root, who runs this, and whose the state directory or the folder of the
// socket is.
func (w Where) trusts(uid int, folder string) bool {
	if uid == 0 || uid == os.Geteuid() {
		return true
	}
	for _, path := range []string{w.StateDir, folder} {
		if path == "" {
			continue
		}
		if who, ok := owner(path); ok && who == uid {
			return true
		}
	}
	return false
}

// trustsSomewhere is trusts for who answers over TCP: where the state directory cannot be looked at, the folder of a socket may
// tell who the agent's user is.
func (w Where) trustsSomewhere(uid int) bool {
	for _, socket := range w.Sockets {
		if w.trusts(uid, filepath.Dir(socket)) {
			return true
		}
	}
	return w.trusts(uid, "")
}

func stranger(uid int) error {
	return fmt.Errorf("what answers there belongs to user %s, who is neither root, you nor the agent's user: not believed",
		userName(uid))
}

// reachable is where a page that listens on every address is asked: here.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip, errIP := netip.ParseAddr(host); err == nil && (host == "" || errIP == nil && ip.IsUnspecified()) {
		if host = "127.0.0.1"; ip.Is6() {
			host = "::1"
		}
		return net.JoinHostPort(host, port)
	}
	return listen
}

// exchange sends req on a connection of its own: never through a proxy, and without http.Transport, which weighs 300 KiB in the
// program. done ends the connection.
func exchange(ctx context.Context, conn net.Conn, req *http.Request) (res *http.Response, done func(), err error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // it ends every read and write
	done = func() {
		stop()
		_ = conn.Close()
	}
	req.Close = true
	in := &io.LimitedReader{R: conn, N: maxHead}
	if err = req.Write(conn); err == nil {
		res, err = http.ReadResponse(bufio.NewReader(in), req)
		in.N = math.MaxInt64 // whoever reads the body bounds it
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return res, done, nil
}

// notReached says why a socket did not answer.
func notReached(socket string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return socket + " is not there"
	case errors.Is(err, syscall.ECONNREFUSED):
		return socket + " is left over from an agent that has ended"
	}
	return fmt.Sprintf("%s: %v", socket, err)
}

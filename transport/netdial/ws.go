package netdial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"github.com/linkbeat/linkbeat/transport/faults"
)

const (
	wsProtocol    = "mqtt"  // [MQTT-6.0.0-3]
	wsDefaultPath = "/mqtt" // what brokers and clouds listen on
	wsBuffer      = 4 << 10
)

// Upgrade speaks WebSocket over c, which carries TLS already where the scheme has it.
func (e *Endpoint) Upgrade(ctx context.Context, c net.Conn) (net.Conn, error) {
	b := bound(c, maxUpgradeBytes, "server", "headers", "answered the WebSocket request", adviceAboutPort)
	given := func(context.Context, string, string) (net.Conn, error) { return b, nil }
	d := websocket.Dialer{
		NetDialContext: given, NetDialTLSContext: given, Subprotocols: []string{wsProtocol},
		ReadBufferSize: wsBuffer, WriteBufferSize: wsBuffer,
	}
	u := *e.url
	if u.Scheme = "ws"; e.Scheme.TLS {
		u.Scheme = "wss" // RFC 6455, section 3: what the library calls it
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = wsDefaultPath
	}
	ws, resp, err := d.DialContext(ctx, u.String(), nil)
	if resp != nil {
		defer resp.Body.Close() // of an answer that is no upgrade
	}
	if err != nil {
		return nil, b.fault(upgradeFault(resp, err))
	}
	b.again(maxUpgradeBytes, "server", "frames", "answered CONNECT", adviceAboutPort)
	if ws.Subprotocol() != wsProtocol { // [MQTT-6.0.0-4]
		_ = ws.Close()
		return nil, faults.Nonsense("a WebSocket without the subprotocol %q", wsProtocol)
	}
	return &wsConn{Conn: ws, before: b}, nil
}

func upgradeFault(resp *http.Response, err error) error {
	if resp == nil || !errors.Is(err, websocket.ErrBadHandshake) {
		return err
	}
	f := &faults.Fault{Kind: faults.OutcomeSilence, Msg: fmt.Sprintf("server answered the WebSocket request with %s",
		resp.Status)}
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		f.Kind = faults.OutcomeRefused
	case http.StatusNotFound:
		f.Err = errors.New("check the path of the URL")
	}
	return f
}

// wsConn makes a stream of binary messages. One reader and one writer at a time; pings of the server are answered while it
// is read, and it always is.
type wsConn struct {
	*websocket.Conn
	r io.Reader // the message being read

	before *bounded // of what comes before CONNACK, frames without a byte too; nil: that came
	came   int      // bytes of it
}

// Read reads on, over the ends of messages [MQTT-6.0.0-2].
func (w *wsConn) Read(p []byte) (int, error) {
	for {
		if w.r == nil {
			kind, r, err := w.NextReader()
			if err != nil {
				return 0, w.fault(err)
			}
			if kind != websocket.BinaryMessage { // [MQTT-6.0.0-1]
				return 0, faults.Nonsense("a WebSocket message that is not binary")
			}
			w.r = r
		}
		n, err := w.r.Read(p)
		if err == io.EOF {
			w.r, err = nil, nil
		}
		if w.came += n; w.before != nil && w.came >= leastConnack {
			w.before.released()
			w.before = nil
		}
		if n > 0 || err != nil {
			return n, w.fault(err)
		}
	}
}

// leastConnack are the bytes of a CONNACK that whoever reads MQTT takes or refuses as it is; what follows was asked for.
const leastConnack = 4

// fault is the bound's own where it ended the connection.
func (w *wsConn) fault(err error) error {
	if w.before == nil {
		return err
	}
	return w.before.fault(err)
}

// Write makes one message of p.
func (w *wsConn) Write(p []byte) (int, error) {
	if err := w.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// SetDeadline sets both.
func (w *wsConn) SetDeadline(t time.Time) error {
	return errors.Join(w.SetReadDeadline(t), w.SetWriteDeadline(t))
}

// CloseWrite sends the close frame; the server answers with its own and closes.
func (w *wsConn) CloseWrite() error {
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	return w.WriteControl(websocket.CloseMessage, bye, time.Now().Add(LastWords))
}

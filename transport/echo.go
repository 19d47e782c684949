package transport

import (
	"context"
	"errors"
	"net"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/diagnose"
)

// Echo publishes to each topic on a short session of its own (client id "<ClientID>-p0", clean), with QoS 1 and not retained, and
// listens whether it comes back: by class EchoOK, EchoDenied or EchoUnknown. The session shares server, path and login with the
// link's own, and its bytes are booked as probes. An error says why nothing could be learnt; all is unknown then. It takes some
// seconds at most, and 2 for each topic that is denied.
func (l *Link) Echo(ctx context.Context, topics []EchoTopic) (map[string]string, error) {
	s, _ := l.health.current()
	if s == nil {
		return diagnose.Unknown(topics), errors.New("the link is not up")
	}
	password, err := s.e.ReadPassword()
	if err != nil {
		return diagnose.Unknown(topics), err
	}
	hello := codec.CheckConnect(l.o.ClientID, s.e.Username, password)
	return diagnose.Echo(ctx, hello, func(ctx context.Context) (net.Conn, error) {
		return l.dialer.OpenOn(ctx, s.e, CauseProbe, s.stream.Path())
	}, topics, func(n int) { l.dialer.Counter.Refuse(CauseProbe, n) })
}

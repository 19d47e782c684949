package transport

import (
	"context"
	"errors"
	"net"

	"github.com/linkbeat/linkbeat/transport/codec"
)

// Echo publishes to each topic on a short session of its own (client id "<ClientID>-p0", clean), with QoS 1 and not retained, and
// listens whether it comes back: by class EchoOK, EchoDenied or EchoUnknown. The session shares server, path and login with the
// link's own, and its bytes are booked as probes. An error says why nothing could be learnt; all is unknown then. It takes some
// seconds at most, and 2 for each topic that is denied.
func (l *Link) Echo(ctx context.Context, topics []EchoTopic) (map[string]string, error) {
	verdicts := map[string]string{}
	for _, t := range topics {
		verdicts[t.Class] = EchoUnknown
	}
	s, _ := l.current()
	if s == nil {
		return verdicts, errors.New("the link is not up")
	}
	password, err := s.e.ReadPassword()
	if err != nil {
		return verdicts, err
	}
	hello := codec.CheckConnect(l.o.ClientID, s.e.Username, password)
	e := &echoer{hello: hello, dial: func(ctx context.Context) (net.Conn, error) {
		return l.dialer.OpenOn(ctx, s.e, CauseProbe, s.stream.Path())
	}}
	defer e.close()
	if err := e.connected(ctx); err != nil {
		return verdicts, err
	}
	e.hear(ctx, topics, func(h hearing) { verdicts[h.topic.Class] = h.verdict })
	return verdicts, ctx.Err()
}

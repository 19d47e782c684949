package netdial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fakeDial answers by address: after so long, with so much.
type fakeDial map[string]struct {
	after time.Duration
	err   error
}

func (f fakeDial) dial(ctx context.Context, a netip.AddrPort) (net.Conn, error) {
	what := f[a.Addr().String()]
	select {
	case <-time.After(what.after):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if what.err != nil {
		return nil, what.err
	}
	c, peer := net.Pipe()
	_ = peer.Close()
	return answering{c, a.Addr().String()}, nil
}

type answering struct {
	net.Conn
	name string
}

func TestDialAny(t *testing.T) {
	refused := errors.New("refused")
	for _, tt := range []struct {
		name      string
		addresses string // in order
		dial      fakeDial
		want      string // who answers, after how long
	}{
		{"one", "10.0.0.1", fakeDial{}, "10.0.0.1 0s"},
		{"the second when the first refuses", "10.0.0.1 10.0.0.2", fakeDial{"10.0.0.1": {0, refused}}, "10.0.0.2 0s"},
		{"a silent one gets its share", "10.0.0.1 10.0.0.2", fakeDial{"10.0.0.1": {time.Hour, nil}}, "10.0.0.2 15s"},
		{"all silent", "10.0.0.1 10.0.0.2 10.0.0.3", fakeDial{"10.0.0.1": {time.Hour, nil}, "10.0.0.2": {time.Hour, nil},
			"10.0.0.3": {time.Hour, nil}}, "none 30s"},
		{"the other family a moment later", "2001:db8::1 10.0.0.1", fakeDial{"2001:db8::1": {time.Hour, nil}}, "10.0.0.1 300ms"},
		{"the preferred family in time", "2001:db8::1 10.0.0.1", fakeDial{"2001:db8::1": {200 * time.Millisecond, nil}},
			"2001:db8::1 200ms"},
		{"the other family at once when the first fails", "2001:db8::1 10.0.0.1", fakeDial{"2001:db8::1": {0, refused}},
			"10.0.0.1 0s"},
		{"both fail", "2001:db8::1 10.0.0.1",
			fakeDial{"2001:db8::1": {0, refused}, "10.0.0.1": {time.Second, errors.New("other")}}, "refused 1s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var all []netip.AddrPort
				for _, a := range strings.Fields(tt.addresses) {
					all = append(all, netip.AddrPortFrom(netip.MustParseAddr(a), 1883))
				}
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				start := time.Now()
				c, err := dialAny(ctx, all, tt.dial.dial)
				got := "none"
				switch {
				case err == nil:
					got = c.(answering).name
					_ = c.Close()
				case errors.Is(err, refused):
					got = "refused"
				}
				if got = fmt.Sprint(got, " ", time.Since(start)); got != tt.want {
					t.Errorf("got %s (%v), want %s", got, err, tt.want)
				}
			})
		})
	}
}

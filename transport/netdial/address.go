package netdial

import (
	"context"
	"net"
	"net/netip"
	"time"
)

const (
	headStart   = 300 * time.Millisecond // of the preferred family (RFC 8305)
	leastToDial = 2 * time.Second        // that each of several addresses gets
)

// dialAny tries addresses in order, each for its share of the time. Those of the other family than the first one begin headStart
// later, or when the first family has failed, side by side with it: the first connection wins.
func dialAny(ctx context.Context, addresses []netip.AddrPort,
	dial func(context.Context, netip.AddrPort) (net.Conn, error)) (net.Conn, error) {
	first := addresses[0].Addr().Is4()
	var preferred, others []netip.AddrPort
	for _, a := range addresses {
		if a.Addr().Is4() == first {
			preferred = append(preferred, a)
		} else {
			others = append(others, a)
		}
	}
	if len(others) == 0 {
		return dialInTurn(ctx, preferred, dial)
	}
	return race(ctx, func(ctx context.Context) (net.Conn, error) { return dialInTurn(ctx, preferred, dial) },
		func(ctx context.Context) (net.Conn, error) { return dialInTurn(ctx, others, dial) })
}

// dialled is the result of one side of a race.
type dialled struct {
	conn net.Conn
	err  error
}

// race runs a, and b with it when a has failed or headStart is over. The loser's connection is closed.
func race(ctx context.Context, a, b func(context.Context) (net.Conn, error)) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan dialled, 2)
	run := func(f func(context.Context) (net.Conn, error)) {
		conn, err := f(ctx)
		results <- dialled{conn, err}
	}
	go run(a)
	timer := time.NewTimer(headStart)
	defer timer.Stop()
	var first error
	for running, waiting := 1, true; running > 0 || waiting; {
		select {
		case <-timer.C:
			if waiting {
				waiting, running = false, running+1
				go run(b)
			}
		case r := <-results:
			if running--; r.err == nil {
				go discard(results, running)
				return r.conn, nil
			}
			if first == nil {
				first = r.err
			}
			timer.Reset(0)
		}
	}
	return nil, first
}

// discard closes what n sides of a race still come up with.
func discard(results <-chan dialled, n int) {
	for range n {
		if r := <-results; r.conn != nil {
			_ = r.conn.Close()
		}
	}
}

// dialInTurn tries one address after the other; the error is the first one's.
func dialInTurn(ctx context.Context, addresses []netip.AddrPort,
	dial func(context.Context, netip.AddrPort) (net.Conn, error)) (net.Conn, error) {
	var first error
	for i, a := range addresses {
		conn, err := dialFor(ctx, len(addresses)-i, a, dial)
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// dialFor gives one address its share of the time that is left for so many.
func dialFor(ctx context.Context, left int, a netip.AddrPort,
	dial func(context.Context, netip.AddrPort) (net.Conn, error)) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(leastToDial, time.Until(deadline)/time.Duration(left)))
		defer cancel()
	}
	return dial(ctx, a)
}

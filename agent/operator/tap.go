package operator

import (
	"context"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
)

// TapOptions say which port to look at.
type TapOptions struct {
	Device, Name string
	Who          string // for the gateway's log
}

// Chunk is bytes that went over a port.
type Chunk struct {
	Time time.Time
	Out  bool // the gateway wrote them
	Data []byte
	Lost int64 // bytes that are missing before it
}

// Tap looks at both directions of a port, without taking it, until ctx ends (nil) or emit says no. Errors as of [Console].
func Tap(ctx context.Context, o Options, t TapOptions, emit func(Chunk) error) error {
	s, err := openSession(ctx, o, t.Device, t.Name, wire.ConsoleDown{Op: wire.ConsoleTap, Who: t.Who})
	if err != nil {
		return err
	}
	defer s.close()
	ctx, leave := context.WithCancel(ctx)
	sent := make(chan error, 1)
	go func() {
		defer leave()
		sent <- s.send(ctx, nil, 0, func() (l wire.ConsoleLine, ok bool) { return l, false })
	}()
	err = s.receive(ctx, func(m wire.ConsoleUp) error {
		return emit(Chunk{Time: time.UnixMilli(m.TS), Out: m.Out, Data: m.Data, Lost: m.Lost})
	})
	leave()
	if e := <-sent; err == nil {
		err = e
	}
	return err
}

// AppendDump adds a chunk as people read it.
func (c Chunk) AppendDump(dst []byte) []byte { return wire.AppendDump(dst, c.Time, c.Out, c.Data) }

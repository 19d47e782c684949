package ports

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// serverGone is within what a serial server that fell silent must be noticed: keepalives begin after 15 s, and what is not
// acknowledged for 30 s ends the connection (TCP_USER_TIMEOUT); the kernel's timer may come one keepalive later.
const serverGone = 36 * time.Second

// silence measures how long a half-open connection to a serial server lives, idle and with bytes on the way.
func silence(e *kit.Env, t *kit.Table) error {
	t.Say("a serial server falls silent: packets vanish between two namespaces, both ways, and nobody is told.")
	l, err := netlab.New(e, 1)
	if err != nil {
		return err
	}
	idle, err := connect(e, l)
	if err != nil {
		return err
	}
	busy, err := connect(e, l)
	if err != nil {
		return err
	}
	if err := l.Cut(l.ServerIPs[0]); err != nil {
		return err
	}
	began := time.Now()
	if _, err := busy.Write([]byte("a command\n"), time.Time{}); err != nil {
		return err
	}
	var all sync.WaitGroup
	for name, p := range map[string]serialport.Port{"idle": idle, "with bytes on the way": busy} {
		all.Go(func() {
			_, err := p.Read(make([]byte, 1), began.Add(2*serverGone))
			t.Within("a serial server fell silent, "+name+": noticed after", time.Since(began).Seconds(),
				serverGone.Seconds(), "s")
			if err == nil {
				err = fmt.Errorf("a byte came through")
			}
			e.Logf("%s: %v", name, err)
			_ = p.Close()
		})
	}
	all.Wait()
	return l.Heal(l.ServerIPs[0])
}

// connect opens a port at a server of its own in the lab.
func connect(e *kit.Env, l *netlab.Lab) (p serialport.Port, err error) {
	var listener net.Listener
	err = kit.InNetns(l.Server, func() (err error) {
		listener, err = net.Listen("tcp", l.ServerIPs[0]+":0")
		return err
	})
	if err != nil {
		return nil, err
	}
	e.Defer(func() { _ = listener.Close() })
	go func() {
		if c, err := listener.Accept(); err == nil {
			e.Defer(func() { _ = c.Close() })
		}
	}()
	err = kit.InNetns(l.Device, func() (err error) {
		ctx, cancel := context.WithTimeout(e.Ctx, 5*time.Second)
		defer cancel()
		p, err = serialport.Open(ctx, "tcp://"+listener.Addr().String(), serialport.Line{})
		return err
	})
	return p, err
}

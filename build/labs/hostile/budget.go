package hostile

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Who pays for each byte: a month of 3 MB, of which refused traffic may take a twentieth, and a little until it is noticed.
const (
	monthBudget  = 3_000_000
	refusedShare = monthBudget / 20
	refusedLate  = 16 << 10 // what comes before a session is ended
)

// spend is what a stranger does to a gateway with a budget.
type spend struct {
	name   string
	tenant func(id string, n int) []byte // another client of the broker says it, n counts up; nil: none does
	server speech                        // of a hostile server, with the broker as the second one; nil: the broker alone
	says   string                        // part of why, or of the log of a server that was left; "": why stays empty
	most   int64                         // bytes that may be booked as refused
	muted  bool                          // commands are let go of for longer than the laboratory lasts
}

func spends() []spend {
	payload := []byte(strings.Repeat("x", 400))
	to := func(rest string, payload []byte, retained bool) func(string, int) []byte {
		return func(id string, n int) []byte {
			return publish("lb/"+id+"/dn/"+strings.ReplaceAll(rest, "%", fmt.Sprint(n%4+1)), payload, retained, 0)
		}
	}
	again := func(packet ...byte) speech {
		return func(_ string, write func([]byte) bool) { forever(write, func(int) []byte { return packet }) }
	}
	const left = "it keeps acknowledging what nobody sent"
	return []spend{
		{name: "healthy", most: 0},
		{name: "a flood on dn/probe", tenant: to("probe/%", payload, false), says: "others publish to", most: refusedLate},
		{name: "retained messages on dn/probe", tenant: to("probe/%", payload, true), says: "others publish to",
			most: refusedLate},
		{name: "commands for no device", tenant: to("cmd//write", payload, false), says: "not listened to until", muted: true,
			most: 2 * refusedShare},
		{name: "console messages without an id", tenant: to("cmd/meter/console", payload, false), says: "not listened to until",
			muted: true, most: 2 * refusedShare},
		{name: "PINGRESPs that nobody asked for", server: again(kindPong<<4, 0), says: left, most: refusedLate},
		{name: "PUBACKs of nothing", server: again(kindPubAck<<4, 2, 0x77, 0x77), says: left, most: refusedLate},
		{name: "SUBACKs of nothing", server: again(kindSubAck<<4, 3, 0x77, 0x77, 0), says: left, most: refusedLate},
	}
}

// budgets lets each stranger do what it does for a while, and counts what is booked and what arrives.
func (l lab) budgets() error {
	plain, err := l.Broker(kit.BrokerOptions{})
	if err != nil {
		return err
	}
	var jobs []func() error
	for i, s := range spends() {
		jobs = append(jobs, func() error {
			if err := l.spent(front{plain, nil}, s, 100+i); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			return nil
		})
	}
	return kit.SideBySide(4, jobs)
}

func (l lab) spent(b front, s spend, i int) error {
	f := flood{name: "budget, " + s.name, doc: func(d kit.Doc, url string) {
		d.Set("uplink.budget.month", "3MB").Set("heartbeat.learn", "fast").Set("heartbeat.probe_after", "0s")
		if s.server != nil {
			d.Set("uplink.servers", []any{map[string]any{"url": url, "rank": 1}, map[string]any{"url": b.URL(), "rank": 2}})
		}
		consoles(d, url)
	}}
	if s.server != nil {
		f.server = says(s.server)
	}
	m, err := l.met(b, f, i)
	if err != nil {
		return err
	}
	replies, err := l.Collect(kit.CollectOptions{URL: b.URL(), ID: m.id + "-replies",
		Filters: []string{"lb/" + m.id + "/up/reply/#"}})
	if err != nil {
		return err
	}
	stop := func() {}
	if s.tenant != nil {
		if stop, err = l.tenant(b.Host(), func(n int) []byte { return s.tenant(m.id, n) }); err != nil {
			return err
		}
	}
	defer stop()
	if err := m.agent.StartUp(); err != nil {
		return err
	}
	go m.talk(l.Ctx)
	said := func() bool {
		st, err := m.agent.Status()
		return err == nil && strings.Contains(st.Why, s.says) || strings.Contains(m.agent.Proc().Tail(200), s.says)
	}
	if s.says != "" {
		l.t.Check(f.name+": it is said", l.Until(s.says, 40*time.Second, said))
	}
	before := m.books.Count()
	l.Sleep(l.o.Flood)
	l.t.AtLeast(f.name+": frames that arrived meanwhile", float64(m.books.Count()-before), 1, "")
	var st struct {
		Why   string
		Bytes map[string]int64
	}
	if err := m.agent.StatusInto(&st); err != nil {
		return err
	}
	l.t.AtMost(f.name+": booked as refused", float64(st.Bytes["refused"]), float64(s.most), "B")
	if s.says == "" {
		l.t.Exactly(f.name+": characters of why", len(st.Why), 0, "", st.Why)
	}
	stop()
	m.quiet.Store(true)
	if !s.muted {
		l.t.Check(f.name+": a command is heard afterwards", l.commanded(b.Host(), m.id, replies))
	}
	if err := m.counted(l); err != nil {
		return err
	}
	return m.agent.Term()
}

// tenant is another client of the broker, with nothing but the right to publish. stop ends it, once or more.
func (l lab) tenant(host string, one func(n int) []byte) (stop func(), err error) {
	c, err := joined(host)
	if err != nil {
		return nil, err
	}
	var over atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; !over.Load(); n++ {
			if _, err := c.Write(one(n)); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond) // 40 kB/s: the ledger looks once a second
		}
	}()
	return func() { over.Store(true); <-ended; _ = c.Close() }, nil
}

// joined is a session at the broker.
func joined(host string) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", host, 5*time.Second)
	if err != nil {
		return nil, err
	}
	hello := packet{head: kindConnect << 4, body: append(str("MQTT"), 4, 2)}
	hello.body = append(binary.BigEndian.AppendUint16(hello.body, 600), str("")...)
	if _, err = c.Write(hello.bytes()); err == nil {
		_, err = c.Read(make([]byte, 4))
	}
	return c, err
}

// commanded sends a command until it is answered.
func (l lab) commanded(host, id string, replies *kit.Collector) error {
	c, err := joined(host)
	if err != nil {
		return err
	}
	defer c.Close()
	n, before := 0, replies.Count()
	return l.Until("a reply", 30*time.Second, func() bool {
		if n++; n%20 == 1 {
			command := fmt.Appendf(nil, `{"id":"after-%d","expires":%d,"text":"x"}`, n, soon())
			_, _ = c.Write(publish("lb/"+id+"/dn/cmd/meter/write", command, false, 0))
		}
		return replies.Count() > before
	})
}

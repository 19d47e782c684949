package hostile

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// flood is one reproduction: what a stranger says to the agent without end, and how the agent comes to meet it.
type flood struct {
	name   string
	server serverOf                                  // in front of the broker; nil: the broker itself
	doc    func(d kit.Doc, url string)               // if set, what else the document says
	device func(e *kit.Env) (port string, err error) // if set, a serial server beside the meter
	short  bool                                      // in the short form too
	beside bool                                      // frames arrive meanwhile
	logged bool                                      // what it may cost in the log is judged
}

// logMost is what a flood may write into the log in a minute, in KiB. A gateway's log lies on its flash.
const logMost = 256.0

func allFloods() []flood {
	return []flood{
		{name: "endless headers, ws", server: overWS(nil, endlessHeaders), short: true},
		{name: "one endless header line, ws", server: overWS(nil, endlessLine)},
		{name: "endless headers, wss", server: overWSS(endlessHeaders), short: true},
		{name: "endless headers, http proxy", server: overProxy(endlessHeaders), doc: byProxy},
		{name: "one endless status line, http proxy", server: overProxy(endlessStatus), doc: byProxy},
		{name: "endless TLS handshake", server: overTLS(endlessHandshake), short: true},
		{name: "TLS: certificates of 250 KiB, over and over", server: overTLS(hugeChain)},
		{name: "bytes that are no MQTT", server: overTCP(noMQTT)},
		{name: "a CONNACK of 256 MB", server: overTCP(hugeConnAck)},
		{name: "endless negotiation, rfc2217", device: endlessNegotiation, short: true, beside: true},
		{name: "endless data before the negotiation, rfc2217", device: endlessEarlyData, beside: true},
		{name: "endless acknowledgements, rfc2217", device: endlessAcks, beside: true},
		{name: "junk commands", server: says(junkCommands), beside: true, logged: true, short: true},
		{name: "commands without an id", server: says(namelessCommands), beside: true, logged: true},
		{name: "commands for devices that are not there", server: says(strangeCommands), beside: true, logged: true},
		{name: "commands too long", server: says(longCommands), beside: true, logged: true},
		{name: "consoles opened and closed", server: says(consoleStorm), doc: consoles, beside: true, logged: true, short: true},
		{name: "taps opened and closed", server: says(tapStorm), doc: consoles, beside: true, logged: true},
		{name: "data for consoles that are not open", server: says(consoleData), doc: consoles, beside: true, logged: true},
		{name: "5,000 retained commands at each connection", server: says(retainedCommands), beside: true, logged: true,
			short: true},
		{name: "5,000 retained messages on other topics", server: says(retainedOthers), beside: true, logged: true},
		{name: "10,000 commands that expire tomorrow", server: says(farCommands), beside: true, logged: true},
	}
}

func byProxy(d kit.Doc, url string) { d.Set("uplink.proxy", url) }

func consoles(d kit.Doc, _ string) {
	d["serial"].(map[string]any)["meter"].(map[string]any)["console"] = true
}

// floods runs each with an agent of its own.
func (l lab) floods() error {
	certs, err := l.Certs()
	if err != nil {
		return err
	}
	plain, err := l.Broker(kit.BrokerOptions{WS: true})
	if err != nil {
		return err
	}
	broker := front{plain, certs}
	var some []flood
	for _, f := range allFloods() {
		if l.o.Full || f.short {
			some = append(some, f)
		}
	}
	healthy, err := l.met(broker, flood{name: "healthy", beside: true}, len(some))
	if err != nil {
		return err
	}
	if err := healthy.agent.StartUp(); err != nil {
		return err
	}
	go healthy.talk(l.Ctx)
	var jobs []func() error
	for i, f := range some {
		jobs = append(jobs, func() error {
			if err := l.flood(broker, f, i); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			return nil
		})
	}
	if err := kit.SideBySide(4, jobs); err != nil {
		return err
	}
	s, err := healthy.agent.Status()
	if err != nil {
		return err
	}
	l.t.Exactly("a healthy agent beside the floods: characters of its why", len(s.Why), 0, "", s.Why)
	l.t.AtMost("a healthy agent beside the floods: peak memory", peak(healthy.agent.Proc().Pid()), agentMost, "MiB")
	return healthy.counted(l)
}

// meeting is an agent that meets a flood, with a meter that numbers its frames.
type meeting struct {
	f     flood
	id    string
	agent *kit.Agent
	books *kit.Collector
	tty   *kit.Pty
	quiet *atomic.Bool
	said  atomic.Int64
	quit  chan struct{}
	ended chan struct{}
}

func (l lab) met(b front, f flood, i int) (*meeting, error) {
	m := &meeting{f: f, id: fmt.Sprint("gw-flood-", i), quiet: &atomic.Bool{}, quit: make(chan struct{}),
		ended: make(chan struct{})}
	url, ownDoc, err := b.URL(), f.doc, error(nil)
	if f.server != nil {
		if url, err = f.server(l.Env, b, m.quiet); err != nil {
			return nil, err
		}
	}
	if m.tty, err = l.Pty(m.id); err != nil {
		return nil, err
	}
	if m.books, err = l.Collect(kit.CollectOptions{URL: b.URL(), ID: m.id + "-books",
		Filters: []string{"lb/" + m.id + "/up/data/#"}}); err != nil {
		return nil, err
	}
	target := url
	if ownDoc != nil && strings.HasPrefix(url, "http") {
		target = b.SchemeURL("mqtt")
	}
	// What was refused, as a certificate is, is tried again soon here, and what waited goes up fast: it is to be counted.
	doc := kit.NewDoc(m.id, target).Line("meter", m.tty.Port).Set("uplink.backoff.refused", "2s").
		Set("uplink.replay_rate", "1MiB/s")
	doc["serial"].(map[string]any)["meter"].(map[string]any)["commands"] = true
	if strings.HasPrefix(url, "wss:") || strings.HasPrefix(url, "mqtts:") {
		doc.Set("uplink.tls.ca_file", b.certs.CA)
	}
	if f.device != nil {
		port, err := f.device(l.Env)
		if err != nil {
			return nil, err
		}
		doc.Line("served", port)
	}
	if ownDoc != nil {
		ownDoc(doc, url)
	}
	m.agent, err = l.Agent(kit.AgentOptions{Argv: []string{l.agent}, Doc: doc})
	return m, err
}

// talk writes twenty frames a second.
func (m *meeting) talk(ctx context.Context) {
	defer close(m.ended)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.quit:
			return
		case <-tick.C:
			if _, err := fmt.Fprintf(m.tty, "frame %d\n", m.said.Load()+1); err != nil {
				return
			}
			m.said.Add(1)
		}
	}
}

// counted ends the talk and counts what has arrived: every frame, none twice that the broker did not repeat.
func (m *meeting) counted(l lab) error {
	close(m.quit)
	<-m.ended
	want := int(m.said.Load())
	got := map[string]int{}
	tally := func() int {
		clear(got)
		for _, a := range m.books.Arrivals() {
			frames, err := a.Decode()
			if err != nil {
				continue
			}
			for _, f := range frames {
				if f.Text != nil && strings.HasPrefix(*f.Text, "frame ") {
					got[*f.Text]++
				}
			}
		}
		return len(got)
	}
	err := l.Until("the frames of "+m.id, 90*time.Second, func() bool { return tally() >= want })
	note := ""
	if err != nil {
		note = err.Error()
	}
	l.t.Exactly(m.f.name+": frames lost", want-len(got), 0, fmt.Sprint("of ", want), note)
	return nil
}

func (l lab) flood(b front, f flood, i int) error {
	m, err := l.met(b, f, i)
	if err != nil {
		return err
	}
	if err := m.agent.Start(); err != nil {
		return err
	}
	go m.talk(l.Ctx)
	most := watch(l.Env, m.agent.Proc(), l.o.Flood)
	lasted := time.Since(m.agent.Proc().Started)
	var why string
	if s, err := m.agent.Status(); err == nil {
		why = s.Why
	}
	during := m.books.Count()
	m.quiet.Store(true)
	l.t.AtMost(f.name+": peak memory of the agent", most, agentMost, "MiB")
	if !m.agent.Proc().Running() {
		l.t.Check(f.name+": the agent lives", fmt.Errorf("%s", m.agent.Proc().Tail(2)))
		close(m.quit)
		return nil
	}
	if f.beside {
		l.t.AtLeast(f.name+": frames that arrived meanwhile", float64(during), 1, "")
	} else if why == "" {
		l.t.Check(f.name+": why says something", fmt.Errorf("it is empty"))
	}
	if info, err := os.Stat(m.agent.Proc().LogPath); err == nil && f.logged {
		l.t.AtMost(f.name+": log", float64(info.Size())/1024/max(1, lasted.Minutes()), logMost, "KiB/min")
	}
	l.Logf("%s: %.1f MiB, why %q", f.name, most, why)
	if err := m.counted(l); err != nil {
		return err
	}
	return m.agent.Term()
}

// forward passes a connection on to the broker: what a server does that has stopped being hostile.
func forward(c net.Conn, to string) {
	up, err := net.DialTimeout("tcp", to, 5*time.Second)
	if err != nil {
		return
	}
	defer up.Close()
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{c, up}, {up, c}} {
		go func() { pipe(way[1], way[0]); done <- struct{}{} }()
	}
	<-done
}

func pipe(to, from net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

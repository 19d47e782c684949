package agent

import (
	"strconv"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/pump"
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/config"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
	"github.com/linkbeat/linkbeat/firmware-bridge/discover"
	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

// What the configuration says, in the words of the packages that do it. They never see package config: the document is a
// public contract, their options are not.

const (
	repliesBytes  = 1 << 20           // of the reply spool, on disk and in memory
	spoolMemory   = 1 << 20           // of the data spool, in memory
	packetHeaders = 5 + 2 + 2 + 65535 // the most that MQTT puts around a payload: fixed header, lengths, packet id, topic
	writeQueue    = 16                // commands waiting at one device
)

func topicsOf(d *config.Document, id string) wire.Topics {
	t := d.Topics
	return wire.Topics{State: t.State, Info: t.Info, Data: t.Data, Reply: t.Reply, Log: t.Log, Stats: t.Stats,
		Reported: t.Reported, Cmd: t.Cmd, Config: t.Config, Group: t.Group, Probe: t.Probe}.For(id)
}

// serversOf gives each server the means to read the password again for every connection, so that a new one needs no restart.
func serversOf(u *config.Uplink) []transport.Server {
	var servers []transport.Server
	for _, s := range u.Servers {
		s = u.With(s)
		servers = append(servers, transport.Server{URL: s.URL, Rank: s.Rank, Username: s.Username, Password: s.ReadPassword,
			Withhold: u.Withheld(s),
			TLS: transport.TLSOptions{CAFile: string(s.TLS.CAFile), CertFile: string(s.TLS.CertFile),
				KeyFile: string(s.TLS.KeyFile), ServerName: s.TLS.ServerName, ALPN: s.TLS.ALPN}})
	}
	return servers
}

// learningOf is what the heartbeat section says. Path and Memory are set by the caller.
func learningOf(h config.Heartbeat, id string, topics wire.Topics) transport.Learning {
	l := transport.Learning{
		Mode: map[string]heartbeat.Mode{"thrifty": heartbeat.Thrifty, "fast": heartbeat.Fast}[h.Learn],
		Min:  h.Min.Std(), Max: h.Max.Std(), Probes: h.Probes.Or(0), After: h.ProbeAfter.Or(-1), Weak: h.WeakMax.Std(),
		Budget: budgetOf(h),
		Canary: transport.Canary{Off: h.Canary == "off", Pair: h.Canary == "pair", Every: h.Canary.Every()},
	}
	clientID := wire.Expand(h.ProbeClientID, "id", id)
	l.ClientID = func(n int) string { return wire.Expand(clientID, "n", strconv.Itoa(n)) }
	l.Topic = func(n int) string { return wire.Expand(topics.Probe, "n", strconv.Itoa(n)) }
	return l
}

func budgetOf(h config.Heartbeat) heartbeat.BudgetOptions {
	return heartbeat.BudgetOptions{Month: h.ProbeBudget.Month.Int64(), Burst: h.ProbeBudget.Burst.Int64()}
}

func linkOptions(d *config.Document, id string, topics wire.Topics) transport.Options {
	u := d.Uplink
	return transport.Options{
		ClientID: id, Servers: serversOf(&d.Uplink), CleanSession: u.CleanSession, Window: u.Window,
		MaxPacket: int(u.MaxPayload.Int64()) + packetHeaders, DetectWithin: u.DetectWithin.Std(),
		Interval: d.Heartbeat.Interval.Std(), Keepalive: d.Uplink.ConnectKeepalive(),
		Backoff:    transport.Backoff{Min: u.Backoff.Min.Std(), Max: u.Backoff.Max.Std(), Refused: u.Backoff.Refused.Std()},
		MaxSession: u.MaxSession.Std(), Interfaces: u.Interfaces, Proxy: proxyOf(u.Proxy),
		Retain:     map[string]transport.RetainMode{"on": transport.RetainOn, "off": transport.RetainOff}[u.Retain],
		StateTopic: topics.State, AdaptKeep: u.Keepalive.Auto, Learning: learningOf(d.Heartbeat, id, topics),
	}
}

// proxyOf is the way to each server: as the environment says where the document says nothing.
func proxyOf(proxy transport.URL) func(transport.URL) (*transport.Proxy, error) {
	return func(server transport.URL) (*transport.Proxy, error) { return transport.ProxyFor(proxy, server) }
}

func devicesOf(d *config.Document) map[string]deviceOptions {
	all := map[string]deviceOptions{}
	for name, s := range d.Serial {
		o := deviceOptions{
			bridge: bridge.Options{Name: name, Port: s.Port, Select: selectorOf(s), Baud: s.Baud, Mode: modeOf(s.Mode),
				Flow: flowOf(s.Flow), RS485: rs485Of(s.RS485), Queue: writeQueue, Framing: s.Frame.Spec()},
			encoding: wire.Encoding(s.PayloadEncoding()), format: s.PayloadFormat(), commands: s.Commands, console: s.Console,
			limits: limitsOf(s), high: s.Priority == "high",
		}
		if s.IsBus() {
			o.encoding, o.bridge.Framing, o.bridge.Modbus = wire.Hex, framing.Spec{}, modbusOf(s)
		}
		all[name] = o
	}
	return all
}

func selectorOf(s *config.SerialDevice) discover.Selector {
	u := s.USB
	selector := discover.Selector{Vendor: u.Vendor, Product: u.Product, Serial: u.Serial, ByPath: s.Path}
	if u.Interface.Set {
		selector.Interface = &u.Interface.N
	}
	return selector
}

func flowOf(flow string) serialport.Flow {
	if flow == "none" {
		return serialport.FlowNone
	}
	return serialport.Flow(flow) // the same words
}

func rs485Of(r config.RS485) serialport.RS485 {
	if !r.On() {
		return serialport.RS485{}
	}
	return serialport.RS485{Mode: r.Mode, Before: r.DelayBefore.Std(), After: r.DelayAfter.Std(), Invert: r.InvertRTS,
		Chip: r.Chip, Line: r.Line}
}

func modeOf(m config.Mode) serialport.Mode {
	mode, err := serialport.ParseMode(m.String())
	if err != nil { // config allows no mode that bridge does not know
		return serialport.Mode{}
	}
	return mode
}

func routesOf(d *config.Document, topics wire.Topics) map[string]pump.Route {
	table := map[string]pump.Route{}
	for name, s := range d.Serial {
		r := pump.Route{Topic: wire.Expand(topics.Data, "name", name), Format: s.PayloadFormat(), Gzip: s.Compress == "gzip",
			Cause: transport.CauseData}
		if s.Batch.On() && !r.Format.Bare() {
			b := s.Batch.Resolved()
			r.Batch = pump.Batching{Frames: b.Frames, Delay: b.Delay.Std(), Bytes: int(b.Bytes.Int64())}
		}
		table[name] = r
		for unit := range s.Units {
			u := r
			u.Topic = wire.Expand(topics.Data, "name", unit)
			table[unit] = u
		}
	}
	return table
}

func spoolOptions(s config.Spool, c clock.Clock) spool.Options {
	o := spool.Options{MaxBytes: s.MaxBytes.Bytes.Int64(), MemoryBytes: spoolMemory, MinFreePercent: s.MinFree.Percent,
		MinFreeBytes: s.MinFree.Bytes.Int64(), MaxAge: s.MaxAge.Std(), WriteAfter: s.WriteAfter.Std(), Sync: s.Sync.Std(),
		WhenFull: spool.DropOldest, Clock: spool.Clock{Boot: c.BootID, Uptime: c.Uptime, Believed: c.Believed}}
	if s.WhenFull == "drop_newest" {
		o.WhenFull = spool.DropNewest
	}
	return o
}

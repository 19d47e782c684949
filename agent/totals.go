package agent

import (
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/transport"
)

// totals is what the counters of uplinks and local states that are over had reached. Counters count from the start of the process,
// whatever was reloaded since; and they balance over a reload as they did before it. The zero value is ready.
type totals struct {
	uplink   statuspage.Uplink
	beat     statuspage.Heartbeat
	bytes    statuspage.Bytes
	spool    statuspage.Spool
	high     statuspage.Spool
	replies  statuspage.Spool
	commands statuspage.Commands
	serial   map[string]statuspage.Serial
}

// addUplink is called with the last status of a link.
func (t *totals) addUplink(link transport.Status) {
	addUplink(&t.uplink, uplinkStatus(link))
	addBeat(&t.beat, heartbeatStatus(link))
	t.bytes = t.bytes.Plus(statuspage.Bytes(link.Bytes))
}

// addLocal is called with a local state that has been closed.
func (t *totals) addLocal(l *localState) {
	addSpool(&t.spool, left(l.data.Status()))
	addSpool(&t.high, left(l.high.Status()))
	addSpool(&t.replies, left(l.replies.Status()))
	c := l.down.Status()
	c.Failed += c.Running // nobody knows how they ended
	addCommands(&t.commands, c)
	t.serial = l.devices.ended()
}

// onto adds the totals to what runs now.
func (t totals) onto(s *statuspage.Status) {
	addUplink(&s.Uplink, t.uplink)
	addBeat(&s.Heartbeat, t.beat)
	s.Bytes = s.Bytes.Plus(t.bytes)
	addSpool(&s.Spool, t.spool)
	addSpool(&s.High, t.high)
	addSpool(&s.Replies, t.replies)
	addCommands(&s.Commands, t.commands)
}

func addUplink(to *statuspage.Uplink, u statuspage.Uplink) {
	to.Session += u.Session
	to.Drops += u.Drops
	to.Redials += u.Redials
	to.Oversized += u.Oversized
	for how, n := range u.Losses {
		if to.Losses == nil {
			to.Losses = map[string]int64{}
		}
		to.Losses[how] += n
	}
}

func addBeat(to *statuspage.Heartbeat, h statuspage.Heartbeat) {
	to.Pings += h.Pings
	to.Probes += h.Probes
	to.Sessions += h.Sessions
	to.Canaries += h.Canaries
	to.Shrinks += h.Shrinks
	to.CostBytes += h.CostBytes
}

func addSpool(to *statuspage.Spool, s statuspage.Spool) {
	to.Accepted += s.Accepted
	to.Recovered += s.Recovered
	to.Acked += s.Acked
	to.Evicted += s.Evicted
	to.Poison += s.Poison
	to.WrittenBytes += s.WrittenBytes
}

func addCommands(to *statuspage.Commands, c statuspage.Commands) {
	to.Received += c.Received
	to.Done += c.Done
	to.Failed += c.Failed
	to.Refused += c.Refused
	to.Overflowed += c.Overflowed
}

func addSerial(to *statuspage.Serial, d statuspage.Serial) {
	to.Read += d.Read
	to.InFrames += d.InFrames
	to.Delimiters += d.Delimiters
	to.Bad += d.Bad
	to.BadFrames += d.BadFrames
	to.Framed += d.Framed
	to.Accepted += d.Accepted
	to.Refused += d.Refused
	to.Written += d.Written
	to.NotUTF8 += d.NotUTF8
	to.Opens += d.Opens
	to.LineErrors = to.LineErrors.Plus(d.LineErrors)
}

// left is a spool that was closed: what waited in it is taken back from what it had found, as the next spool finds it again.
// After a change of the directory nobody does, and recovered may be below zero: then so much was left behind.
func left(s spool.Status) statuspage.Spool {
	return statuspage.Spool{Accepted: s.Accepted, Recovered: s.Recovered - s.Waiting, Acked: s.Acked, Evicted: s.Evicted, Poison: s.Poison,
		WrittenBytes: s.WrittenBytes}
}

// gone is a device that has ended: the frame that it had begun will not be finished.
func gone(d statuspage.Serial) statuspage.Serial {
	d.Bad, d.Pending = d.Bad+d.Pending, 0
	return d
}

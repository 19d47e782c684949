package agent

import (
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/transport"
)

// totals is what the counters of uplinks and local states that are over had reached. Counters count from the start of the
// process, whatever was reloaded since; and they balance over a reload as they did before it. The zero value is ready.
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
	t.uplink.Add(uplinkStatus(link))
	t.beat.Add(heartbeatStatus(link))
	t.bytes = t.bytes.Plus(statuspage.Bytes(link.Bytes))
}

// addLocal is called with a local state that has been closed.
func (t *totals) addLocal(l *localState) {
	t.spool.Add(left(l.data.Status()))
	t.high.Add(left(l.high.Status()))
	t.replies.Add(left(l.replies.Status()))
	c := l.down.Status()
	c.Failed += c.Running // how they ended is not known
	t.commands.Add(c)
	t.serial = l.devices.ended()
}

// onto adds the totals to what runs now.
func (t totals) onto(s *statuspage.Status) {
	s.Uplink.Add(t.uplink)
	s.Heartbeat.Add(t.beat)
	s.Bytes = s.Bytes.Plus(t.bytes)
	s.Spool.Add(t.spool)
	s.High.Add(t.high)
	s.Replies.Add(t.replies)
	s.Commands.Add(t.commands)
}

// left is a spool that was closed. What waited in it is taken back from what it had recovered, since the next spool on that
// directory recovers it again: 5 accepted, 2 acknowledged and 3 waiting are 5 accepted, 2 acknowledged and −3 recovered, to
// which the next spool adds its 3. After a change of spool.dir no spool does, and the total stays below zero: so many records
// were left behind.
func left(s spool.Status) statuspage.Spool {
	return statuspage.Spool{Accepted: s.Accepted, Recovered: s.Recovered - s.Waiting, Acked: s.Acked, Evicted: s.Evicted,
		Poison: s.Poison, WrittenBytes: s.WrittenBytes}
}

// gone is a device that has ended: the frame that it had begun will not be finished.
func gone(d statuspage.Serial) statuspage.Serial {
	d.Bad, d.Pending = d.Bad+d.Pending, 0
	return d
}

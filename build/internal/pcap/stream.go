package pcap

import (
	"net/netip"
	"time"
)

// Conn is one TCP connection as it was seen from its SYN on.
type Conn struct {
	Client, Server netip.AddrPort
	Opened         time.Time     // the SYN
	RTT            time.Duration // from the SYN to the SYN and ACK; 0 when that was not seen
	Wire           int           // bytes of IP, both directions
	Segments       int
	Up, Down       []Packet // what MQTT sent to the server and to the client
	Payload        int      // bytes of the streams, each counted once

	up, down stream
}

// stream puts one direction together: what arrives early waits, what arrives again is left out.
type stream struct {
	started bool
	next    uint32            // number of the next byte
	early   map[uint32][]byte // by number
	mqtt    splitter
}

// Conns sorts segments by connection. What belongs to none whose SYN was seen is left out, but counted in stray.
func Conns(segments []Segment) (all []*Conn, stray int) {
	type pair struct{ a, b netip.AddrPort }
	open := map[pair]*Conn{}
	for _, s := range segments {
		c, toServer := open[pair{s.From, s.To}], true
		if c == nil {
			c, toServer = open[pair{s.To, s.From}], false
		}
		if s.SYN && (c == nil || toServer && s.Seq+1 != c.up.next) { // a port that is used again is a new connection
			if c, toServer = nil, true; !isReply(s) {
				c = &Conn{Client: s.From, Server: s.To, Opened: s.At}
				open[pair{s.From, s.To}] = c
				all = append(all, c)
			}
		}
		if c == nil {
			stray += s.Length
			continue
		}
		c.add(s, toServer)
	}
	return all, stray
}

// isReply: only the first SYN of a connection acknowledges nothing.
func isReply(s Segment) bool { return s.Ack != 0 }

func (c *Conn) add(s Segment, toServer bool) {
	c.Wire += s.Length
	c.Segments++
	dir, packets := &c.down, &c.Down
	if toServer {
		dir, packets = &c.up, &c.Up
	}
	if s.SYN {
		dir.started, dir.next = true, s.Seq+1
		if !toServer && c.RTT == 0 {
			c.RTT = s.At.Sub(c.Opened)
		}
		return
	}
	if !dir.started || len(s.Payload) == 0 {
		return
	}
	fresh := dir.take(s.Seq, s.Payload)
	c.Payload += len(fresh)
	*packets = append(*packets, dir.mqtt.feed(s.At, fresh)...)
}

// take returns the bytes that can be read on with now.
func (st *stream) take(seq uint32, p []byte) (fresh []byte) {
	if ahead := int32(seq - st.next); ahead > 0 { // numbers wrap
		if st.early == nil {
			st.early = map[uint32][]byte{}
		}
		if len(p) > len(st.early[seq]) {
			st.early[seq] = p
		}
		return nil
	}
	fresh = st.after(seq, p)
	for again := true; again; {
		again = false
		for at, q := range st.early {
			if int32(at-st.next) <= 0 {
				delete(st.early, at)
				fresh = append(fresh, st.after(at, q)...)
				again = true
			}
		}
	}
	return fresh
}

// after cuts off what was read before.
func (st *stream) after(seq uint32, p []byte) []byte {
	old := int(st.next - seq)
	if old >= len(p) {
		return nil
	}
	st.next += uint32(len(p) - old)
	return append([]byte(nil), p[old:]...)
}

package config

import (
	"fmt"
	"sort"
)

// checkSerial checks the devices in the order of the file, so that of two on one port the first keeps it.
func (c *checker) checkSerial() {
	names := sortedKeys(c.doc.Serial)
	sort.SliceStable(names, func(i, j int) bool {
		return c.lineOf(join("serial", names[i])) < c.lineOf(join("serial", names[j]))
	})
	owner, taken := map[string]string{}, map[string]string{}
	for _, name := range names {
		taken[name] = join("serial", name)
	}
	for _, name := range names {
		c.device = name
		c.checkSerialDevice(name, c.doc.Serial[name], owner)
		c.checkUnits(join("serial", name), c.doc.Serial[name], taken)
		c.checkRequests(join("serial", name), c.doc.Serial[name])
	}
	c.device = ""
}

func (c *checker) lineOf(path string) int {
	if p := c.positions[path]; p != nil {
		return p.line
	}
	return 0
}

func (c *checker) checkSerialDevice(name string, d *SerialDevice, owner map[string]string) {
	at := join("serial", name)
	if err := checkLevel(name); err != nil {
		c.bad(at, "the name of a device is a level of its topics: it %s", err)
	}
	if key, port, ok := c.checkWhere(at, d); ok {
		if first, taken := owner[port]; taken {
			c.bad(key, "%s is the port of serial.%s already", port, first)
		} else {
			owner[port] = name
		}
	}
	c.checkLine(at, d)
	c.checkFrame(at+".frame", d.Frame)
	bare := d.PayloadFormat().Bare()
	if bare && d.Encoding != auto {
		c.odd(at+".encoding", "has no effect with format: %s", d.Format)
	}
	if bare && d.Batch.On() {
		c.bad(at+".batch", "makes a JSON array, which format: %s has not: use format: json, or no batch", d.Format)
	}
	if d.Batch.On() && d.Batch.Resolved().Bytes > c.doc.Uplink.MaxPayload {
		c.bad(at+".batch", "may have %s, more than uplink.max_payload (%s): set bytes", d.Batch.Resolved().Bytes,
			c.doc.Uplink.MaxPayload)
	}
	if longest := c.doc.Spool.LongestBatch(); c.set(at+".batch.delay") && longest > 0 && d.Batch.Delay > longest {
		advice := "lower it"
		if need := d.Batch.Delay + leaveEarlier; need <= 60*minute {
			advice = fmt.Sprintf("lower it, or raise write_after to %s, which is also what a crash may lose", need)
		}
		c.odd(at+".batch.delay", "is longer than spool.write_after (%s) allows: batches leave after %s, "+
			"so that nothing is written to flash; %s", c.doc.Spool.WriteAfter, longest, advice)
	}
	if most := d.largestFrame(c.doc.Uplink.MaxPayload); d.Frame.Max > most && !d.IsBus() {
		c.odd(at+".frame.max", "is more than uplink.max_payload (%s) can carry: frames of more than %s will not be sent",
			c.doc.Uplink.MaxPayload, most)
	}
	if len(c.doc.Uplink.Servers) > 0 && !c.doc.Uplink.AllEncrypted() {
		const open = "is true and a server has no TLS: whoever is on the path can write to the device; use %s"
		if d.Commands {
			c.odd(at+".commands", open, schemesWithTLS())
		}
		if d.Console {
			c.odd(at+".console", open, schemesWithTLS())
		}
	}
}

// envelope is an upper bound of what stands around a frame in any format that is not bare, in bytes.
const envelope = 256

// largestFrame is the longest frame that fits into a payload, unless most of its text must be escaped.
func (d *SerialDevice) largestFrame(payload Size) Size {
	if d.PayloadFormat().Bare() {
		return payload
	}
	room := payload - envelope
	switch d.PayloadEncoding() {
	case "hex":
		return room / 2
	case "base64":
		return room / 4 * 3
	default:
		return room
	}
}

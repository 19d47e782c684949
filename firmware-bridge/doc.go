// Package bridge keeps serial devices open: bytes of a port become frames, payloads become bytes on the port.
//
//	        ┌────────────────────── Device ───────────────────────┐
//	        │ reader: Port.Read → framing.Framer → OnFrame(Frame) │
//	Port ◄──┤                                                     │
//	        │ writer: queue → Port.Write → Port.Drain → done(err) │
//	        └─────────────────────────────────────────────────────┘
//
// A [Device] has one reader and one writer goroutine, and both belong to [Device.Run]. When the port is lost (unplugged, hung
// up) Run opens it again as soon as it is back; every change of state is one [Event]. Nothing here logs: the caller does.
//
// With [Options.Modbus] a device is the master of a Modbus bus instead: one goroutine reads, one does all the rest, so the bus has one
// owner. It polls the units by the schedule of package modbus and hands over [Values]; a command ([Device.Set], [Device.Request]) gets
// the next slot, between any two requests of a poll, for one request of its own, and a due poll the one after it. A command for a unit
// that rests waits, and neither polls nor commands for others wait for it:
//
//	Port ◄── master: Schedule.Next → ask → OnValues(Values)
//	            ▲ queue → orders: Set, Request → ask → … → done(Answer, err)
//
// The parts of a device: package discover says which port is meant, package serialport opens it and moves its bytes, package
// framing finds frames in them, package modbus says what goes on a bus and whose turn it is.
//
// # Counting
//
// Bytes: read = in_frames + delimiters + bad + pending, frames: framed = accepted + refused; both exactly, in every [Status],
// over any number of reopens. What of a frame had arrived when the port was lost is bad.
//
// # Limits
//
// Memory of a device: the longest frame and one read (4 KiB) on the way in, Options.Queue payloads of at most the longest frame
// (on a bus twice as many) on the way out. RS-485 by RTS or GPIO lets go of the line late by what the scheduler takes, often 0.1 ms, at times many: a
// device that answers at once needs the kernel's mode. A driver that never finishes a drain holds one thread
// until the port hangs up.
package bridge

// Package bridge keeps serial devices open: bytes of a port become frames, payloads become bytes on the port.
//
//	        ┌────────────────────── Device ───────────────────────┐
//	        │ reader: Port.Read → framing.Framer → OnFrame(Frame) │
//	Port ◄──┤                                                     │
//	        │ writer: queue → Port.Write → Port.Drain → done(err) │
//	        └─────────────────────────────────────────────────────┘
//
// A [Device] has one reader and one writer goroutine, and both belong to [Device.Run]. When the port is lost (unplugged, hung
// up), Run opens it again as soon as it is back; every change of state is one [Event]. Nothing here logs: the caller does.
//
// With [Options.Modbus] a device is the master of a Modbus bus instead. Then one goroutine only reads, and another one owns the
// bus. It polls the units by the schedule of package modbus and hands over [Values]. Between any two requests of a poll, a
// command ([Device.Set], [Device.Request]) may send one request of its own; after that, a poll that is due goes first. A
// command for a unit on cooldown waits, and no poll or command of another unit waits for it:
//
//	Port ◄── master: Schedule.Next → exchange → OnValues(Values)
//	            ▲ queue → commands: Set, Request → exchange → … → done(Answer, err)
//
// The parts of a device: package discover says which port is meant, package serialport opens it and moves its bytes, package
// framing finds frames in them, package modbus says what goes on a bus and whose turn it is.
//
// # Counting
//
// Bytes: read = in_frames + delimiters + bad + pending. Frames: framed = accepted + refused. Both hold exactly, in every
// [Status], over any number of reopens. The beginning of a frame that was not complete when the port was lost is bad.
//
// # Limits
//
// Memory of a device: the longest frame and one read (4 KiB) on the way in, Options.Queue payloads of at most the longest frame
// (on a bus twice as many) on the way out. RS-485 by RTS or GPIO releases the line late by what the scheduler takes, often 0.1
// ms, sometimes many: a device that answers at once needs the kernel's mode. A driver that never finishes a drain keeps one
// thread until the port hangs up.
package bridge

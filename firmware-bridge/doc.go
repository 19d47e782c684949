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
// # The port
//
// [Port] is the seam: tests bring a fake, [Open] is the real one. What it guards, because go.bug.st/serial does not:
//
//	fault                                            guard
//	a call after Close hits a reused descriptor      all bytes go through an os.File of our own on the same tty; the library
//	Close does not release a blocked Write           only sets the line up and is closed again before the first byte
//	a write that never ends (flow control)           a deadline on every Write and Drain; what is not sent is dropped
//	short writes with a nil error                    the writer goroutine goes on until all is written
//	a read timeout that looks like nothing read      os.ErrDeadlineExceeded, and never while bytes are waiting
//	hang-up looks different on read and on write     [ErrGone]
//	TIOCEXCL does not stop root                      flock and TIOCGEXCL are asked first; [ErrInUse] names the holder
//	most programs take no lock at all                /proc is looked at before the port is opened
//	until the library is done the tty echoes, edits  raw before anything else; what was edited is thrown away
//	a descriptor that child processes inherit        O_CLOEXEC, and no fork while the library holds its own
//	close(2) waits 30 s for bytes nobody takes       the queue is dropped first
//
// # Which port
//
// Options.Port is a path, or a serial server; Options.Select picks a port by what is plugged in ([Selector]). One [Finder] for all
// devices reads sysfs, hears uevents (NETLINK_KOBJECT_UEVENT; until one came it looks twice a second), and refuses a port to a
// second device ([ErrClaimed]). Found again after a replug: 3 ms in the median with uevents, 0.5 s without.
//
// # The line
//
//	RS485Kernel  TIOCSRS485 until Close; what the driver made of it is read back, and must be what was asked for
//	RS485RTS     TIOCMBIS and TIOCMBIC around Write and Drain; the last character is waited for with TIOCSERGETLSR
//	RS485GPIO    a line of a GPIO chip, uAPI v2 (Linux 5.10), around Write and Drain
//	tcp://       the bytes as they are; Drain waits for the acknowledgement of the serial server
//	rfc2217://   Telnet with the option COM-PORT: line settings, purge, errors of the line
//
// Opening a port raises RTS for a moment, in any mode: the library does it. A serial server that falls silent is noticed within
// 36 s, idle or not (TCP keepalive and TCP_USER_TIMEOUT; 31 s measured).
//
// Not tried on hardware: the direction of RS-485 in all three modes, GPIO, the errors of a line, a real USB unplug. Their ioctls go
// through a seam; the tests compare the bytes with those of a C program, on 64 and 32 bits, and record the calls. TIOCGICOUNT and
// TIOCSERGETLSR were answered by a virtual 8250.
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

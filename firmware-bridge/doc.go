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
//	a descriptor that child processes inherit        O_CLOEXEC, and no fork while the library holds its own
//	close(2) waits 30 s for bytes nobody takes       the queue is dropped first
//
// # Counting
//
// Bytes: read = in_frames + delimiters + bad + pending, frames: framed = accepted + refused; both exactly, in every [Status],
// over any number of reopens. What of a frame had arrived when the port was lost is bad.
//
// # Limits
//
// Memory of a device: the longest frame and one read (4 KiB) on the way in, Options.Queue payloads of at most the longest frame
// on the way out. There is no hardware flow control and no RS-485 yet. A driver that never finishes a drain holds one thread
// until the port hangs up.
package bridge

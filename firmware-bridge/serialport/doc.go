// Package serialport opens serial ports and moves their bytes: a tty of this machine, or one behind a serial server.
//
// A path and a [Line] come in, an open [Port] goes out. The package knows neither frames nor devices. To open a lost port again
// is its caller's task.
//
// # The port
//
// [Port] is the seam: tests bring a fake, [Open] is the real one. It guards against what go.bug.st/serial does not:
//
//	fault                                            guard
//	a call after Close hits a reused descriptor      all bytes go through an os.File of our own on the same tty; the library
//	Close does not release a blocked Write           only sets the line up and is closed again before the first byte
//	a write that never ends (flow control)           a deadline on every Write and Drain; what is not sent is dropped
//	short writes with a nil error                    [Port.Write] says how many; its caller goes on until all is written
//	a read timeout that looks like nothing read      os.ErrDeadlineExceeded, and never while bytes are waiting
//	hang-up looks different on read and on write     [ErrGone]
//	TIOCEXCL does not stop root                      flock and TIOCGEXCL are asked first; [ErrInUse] names the holder
//	most programs take no lock at all                /proc is searched before the port is opened
//	until the library is done the tty echoes, edits  raw before anything else; what was edited is thrown away
//	a descriptor that child processes inherit        O_CLOEXEC, and no fork while the library holds its own
//	close(2) waits 30 s for bytes that do not leave  the queue is dropped first
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
// Not tried on hardware: the direction of RS-485 in all three modes, GPIO, the errors of a line, a real USB unplug. Their
// ioctls go through a seam; the tests compare the bytes with those of a C program, on 64 and 32 bits, and record the calls.
// TIOCGICOUNT and TIOCSERGETLSR were answered by a virtual 8250.
package serialport

package transport

import "errors"

// Errors that callers branch on.
var (
	// ErrTooLarge is returned at once for a message that exceeds MaxPacket; the link stays up.
	ErrTooLarge = errors.New("message is too large")
	// ErrLost is the error of an Ack whose session was lost before the server acknowledged.
	ErrLost = errors.New("session lost before the acknowledgement")
	// ErrInvalid is returned at once for a message that no server may be sent: its topic, its QoS.
	ErrInvalid = errors.New("message cannot be published")
	// ErrClosed is wrapped beside ErrLost when the server closed the session, and it was neither silence nor the path.
	ErrClosed = errors.New("server closed the session")
	// ErrPending is the error of an Ack that is not done yet.
	ErrPending = errors.New("not acknowledged yet")
	// ErrStopped is returned after Run has returned, or is about to.
	ErrStopped = errors.New("link is stopped")
)

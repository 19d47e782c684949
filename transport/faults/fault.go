// Package faults says what an error of dialling, reading or writing means: for the next attempt (Outcome), for the counters
// (Loss) and for people (Fault's text). Errors come in, verdicts go out; it opens nothing, waits for nothing and knows no link.
package faults

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

// Loss is how the loss of a session was noticed; Status counts them by it.
type Loss string

// The ways to lose a session.
const (
	LossSilence Loss = "silence" // nothing came in within DetectWithin, and TCP got nothing across either
	// the same, while the server's TCP acknowledged what we sent: its kernel lives, its service does not
	LossService Loss = "service"
	LossAck     Loss = "ack"   // a QoS 1 publish was not acknowledged within DetectWithin, whatever else was answered
	LossWrite   Loss = "write" // a write was stuck for DetectWithin
	// the kernel gave up what stayed unacknowledged (TCP_USER_TIMEOUT), or learnt that there is no route
	LossTCP      Loss = "tcp"
	LossMapping  Loss = "mapping"  // a fresh connection was answered while the old one stayed silent
	LossAddress  Loss = "address"  // the address that the connection is from is gone
	LossClosed   Loss = "closed"   // FIN: by the server, or a proxy on the way
	LossReset    Loss = "reset"    // RST: by the server, or something on the way
	LossProtocol Loss = "protocol" // the server speaks no MQTT that we understand
	LossRefused  Loss = "refused"
)

// Fault is the end of an attempt or a session: what it means for the next one, and why, for people.
type Fault struct {
	Kind Outcome
	Loss Loss   // empty: what Kind says; see Noticed
	Msg  string // lower case, no full stop, no secret
	Err  error  // that is behind it; may be nil
}

// Noticed is the loss that the fault is counted as.
func (f *Fault) Noticed() Loss {
	switch {
	case f.Loss != "":
		return f.Loss
	case f.Kind == OutcomeClosed:
		return LossClosed
	case f.Kind == OutcomeMappingLost:
		return LossMapping
	case f.Kind == OutcomeRefused:
		return LossRefused
	case f.Kind == OutcomeNonsense:
		return LossProtocol
	}
	return LossSilence
}

// Error is Msg, and what Err says behind it.
func (f *Fault) Error() string {
	if f.Err == nil {
		return f.Msg
	}
	return f.Msg + ": " + f.Err.Error()
}

// Unwrap is Err.
func (f *Fault) Unwrap() error { return f.Err }

// Of says what an error of dialling, reading or writing means; never nil for an error. Certificates are judged by the time now.
func Of(err error, now time.Time) *Fault {
	var f *Fault
	var closed *websocket.CloseError
	var op *net.OpError
	var name *net.DNSError
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.Canceled):
		return &Fault{Kind: OutcomeStopped, Msg: "stopped"}
	case certificateFault(err, now) != nil:
		return certificateFault(err, now)
	case errors.As(err, &op) && op.Op == "remote error": // an alert of TLS
		return &Fault{Kind: OutcomeRefused, Msg: "server refused our certificate", Err: op.Err}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &closed):
		return &Fault{Kind: OutcomeClosed, Msg: "closed by the server"}
	case IsReset(err):
		return &Fault{Kind: OutcomeClosed, Loss: LossReset, Msg: "reset by the server or something on the way"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &Fault{Kind: OutcomeSilence, Msg: "connection refused: nothing listens there"}
	case errors.As(err, &name) && name.IsNotFound:
		return &Fault{Kind: OutcomeSilence, Msg: fmt.Sprintf("the name %s does not exist, or has no address", name.Name)}
	case errors.As(err, &name): // not answered, SERVFAIL or REFUSED: RFC 1035 clause 4.1.1
		return &Fault{Kind: OutcomeSilence, Msg: fmt.Sprintf("no name server could resolve %s", name.Name)}
	case errors.Is(err, syscall.ETIMEDOUT):
		return &Fault{Kind: OutcomeSilence, Loss: LossTCP, Msg: "no answer in time"}
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return &Fault{Kind: OutcomeSilence, Msg: "no answer in time"}
	}
	if op != nil { // its text has our port, which differs each time: without it equal errors compare equal
		return &Fault{Kind: OutcomeSilence, Loss: LossTCP, Msg: op.Op, Err: op.Err}
	}
	return &Fault{Kind: OutcomeSilence, Msg: err.Error()}
}

// certificateFault names a certificate that was not accepted by us; nil for any other error. One that is not valid yet is
// no reason to wait long: our clock may not be set.
func certificateFault(err error, now time.Time) *Fault {
	var (
		unknown  x509.UnknownAuthorityError
		name     x509.HostnameError
		invalid  x509.CertificateInvalidError
		rootless x509.SystemRootsError
	)
	f := &Fault{Kind: OutcomeRefused, Msg: "certificate of the server is not accepted"}
	switch {
	case errors.As(err, &unknown):
		f.Err = fmt.Errorf("%w: check ca_file", unknown)
	case errors.As(err, &name):
		f.Err = fmt.Errorf("%w: check server_name", name)
	case errors.As(err, &rootless):
		f.Err = fmt.Errorf("%w: name a ca_file", rootless)
	case errors.As(err, &invalid):
		f.Err = invalid
		if invalid.Reason == x509.Expired && invalid.Cert != nil && now.Before(invalid.Cert.NotBefore) {
			f.Kind = OutcomeSilence
			f.Err = fmt.Errorf("it is valid only from %s, and our clock says %s",
				invalid.Cert.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
		}
	default:
		return nil
	}
	return f
}

// IsReset reports whether the other side, or something on the way, answered with RST.
func IsReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// Nonsense is the fault of a server that does not speak MQTT 3.1.1, an error of type *Fault.
func Nonsense(format string, args ...any) error {
	return &Fault{Kind: OutcomeNonsense, Msg: "server speaks no MQTT that we understand: " + fmt.Sprintf(format, args...)}
}

// ErrEnded is what the library gets from a conn that has ended. It must not read like net.ErrClosed: the library takes that for
// its own closing and waits without end.
var ErrEnded = errors.New("session has ended")

package transport

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
	LossSilence  Loss = "silence"  // nothing came in within DetectWithin, and TCP got nothing across either
	LossService  Loss = "service"  // the same, while the server's TCP acknowledged what we sent: its kernel lives, its service does not
	LossAck      Loss = "ack"      // a QoS 1 publish was not acknowledged within DetectWithin, whatever else was answered
	LossWrite    Loss = "write"    // a write was stuck for DetectWithin
	LossTCP      Loss = "tcp"      // the kernel gave up what stayed unacknowledged (TCP_USER_TIMEOUT), or was told that there is no way
	LossMapping  Loss = "mapping"  // a fresh connection was answered while the old one stayed silent
	LossAddress  Loss = "address"  // the address that the connection is from is gone
	LossClosed   Loss = "closed"   // FIN: by the server, or a proxy on the way
	LossReset    Loss = "reset"    // RST: by the server, or something on the way
	LossProtocol Loss = "protocol" // the server speaks no MQTT that we understand
	LossRefused  Loss = "refused"
)

// fault is the end of an attempt or a session: what it means for the next one, and why, for people.
type fault struct {
	kind outcome
	loss Loss // empty: what kind says; see noticed
	msg  string
	err  error // may be nil
}

// noticed is the loss that the fault is counted as.
func (f *fault) noticed() Loss {
	switch {
	case f.loss != "":
		return f.loss
	case f.kind == outcomeClosed:
		return LossClosed
	case f.kind == outcomeLost:
		return LossMapping
	case f.kind == outcomeRefused:
		return LossRefused
	case f.kind == outcomeNonsense:
		return LossProtocol
	}
	return LossSilence
}

func (f *fault) Error() string {
	if f.err == nil {
		return f.msg
	}
	return f.msg + ": " + f.err.Error()
}

func (f *fault) Unwrap() error { return f.err }

// asFault says what an error of dialling, reading or writing means.
func asFault(err error, now time.Time) *fault {
	var f *fault
	var closed *websocket.CloseError
	var op *net.OpError
	var name *net.DNSError
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.Canceled):
		return &fault{kind: outcomeStopped, msg: "stopped"}
	case certificateFault(err, now) != nil:
		return certificateFault(err, now)
	case errors.As(err, &op) && op.Op == "remote error": // an alert of TLS
		return &fault{kind: outcomeRefused, msg: "server refused our certificate", err: op.Err}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &closed):
		return &fault{kind: outcomeClosed, msg: "closed by the server"}
	case isReset(err):
		return &fault{kind: outcomeClosed, loss: LossReset, msg: "reset by the server or something on the way"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &fault{kind: outcomeSilence, msg: "connection refused: nothing listens there"}
	case errors.As(err, &name) && name.IsNotFound:
		return &fault{kind: outcomeSilence, msg: fmt.Sprintf("the name %s is not known", name.Name)}
	case errors.As(err, &name):
		return &fault{kind: outcomeSilence, msg: fmt.Sprintf("no name server tells the address of %s", name.Name)}
	case errors.Is(err, syscall.ETIMEDOUT):
		return &fault{kind: outcomeSilence, loss: LossTCP, msg: "no answer in time"}
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return &fault{kind: outcomeSilence, msg: "no answer in time"}
	}
	if op != nil { // its own text has a port that is another one each time
		return &fault{kind: outcomeSilence, loss: LossTCP, msg: op.Op, err: op.Err}
	}
	return &fault{kind: outcomeSilence, msg: err.Error()}
}

// certificateFault names a certificate that was not accepted by us; nil for any other error. One that is not valid yet is
// no reason to wait long: our clock may not be set.
func certificateFault(err error, now time.Time) *fault {
	var (
		unknown  x509.UnknownAuthorityError
		name     x509.HostnameError
		invalid  x509.CertificateInvalidError
		rootless x509.SystemRootsError
	)
	f := &fault{kind: outcomeRefused, msg: "certificate of the server is not accepted"}
	switch {
	case errors.As(err, &unknown):
		f.err = fmt.Errorf("%w: check ca_file", unknown)
	case errors.As(err, &name):
		f.err = fmt.Errorf("%w: check server_name", name)
	case errors.As(err, &rootless):
		f.err = fmt.Errorf("%w: name a ca_file", rootless)
	case errors.As(err, &invalid):
		f.err = invalid
		if invalid.Reason == x509.Expired && invalid.Cert != nil && now.Before(invalid.Cert.NotBefore) {
			f.kind = outcomeSilence
			f.err = fmt.Errorf("it is valid only from %s, and our clock says %s", invalid.Cert.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
		}
	default:
		return nil
	}
	return f
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// nonsense is the fault of a server that does not speak MQTT 3.1.1.
func nonsense(format string, args ...any) error {
	return &fault{kind: outcomeNonsense, msg: "server speaks no MQTT that we understand: " + fmt.Sprintf(format, args...)}
}

// errOver is what the library gets from a conn that is over. It must not read like net.ErrClosed: the library takes that for
// its own closing and waits for ever.
var errOver = errors.New("session is over")

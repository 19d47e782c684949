package faults

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/linkbeat/linkbeat/transport/brokertest"
)

func TestWhatAnErrorMeans(t *testing.T) {
	op := func(name string, err error) error {
		return fmt.Errorf("dial: %w", &net.OpError{Op: name, Net: "tcp", Addr: &net.TCPAddr{Port: 4711}, Err: err})
	}
	for _, tt := range []struct {
		err  error
		kind Outcome
		says string
	}{
		{io.EOF, OutcomeClosed, "closed by the server"},
		{io.ErrUnexpectedEOF, OutcomeClosed, "closed by the server"},
		{&websocket.CloseError{Code: 1000}, OutcomeClosed, "closed by the server"},
		{op("read", os.NewSyscallError("read", syscall.ECONNRESET)), OutcomeClosed,
			"reset by the server or something on the way"},
		{op("dial", os.NewSyscallError("connect", syscall.ECONNREFUSED)), OutcomeSilence,
			"connection refused: nothing listens there"},
		{op("dial", os.NewSyscallError("connect", syscall.EHOSTUNREACH)), OutcomeSilence, "dial: connect: no route to host"},
		{op("read", os.NewSyscallError("read", syscall.ETIMEDOUT)), OutcomeSilence, "no answer in time"},
		{op("dial", &net.DNSError{Name: "h", IsNotFound: true}), OutcomeSilence, "the name h does not exist, or has no address"},
		{op("dial", &net.DNSError{Name: "h", Err: "read udp 127.0.0.1:40000: i/o timeout"}), OutcomeSilence,
			"no name server could resolve h"},
		{op("dial", &net.DNSError{Name: "h", Err: "server misbehaving", IsTemporary: true}), OutcomeSilence,
			"no name server could resolve h"},
		{op("remote error", errors.New("tls: bad certificate")), OutcomeRefused,
			"server refused our certificate: tls: bad certificate"},
		{os.ErrDeadlineExceeded, OutcomeSilence, "no answer in time"},
		{context.DeadlineExceeded, OutcomeSilence, "no answer in time"},
		{context.Canceled, OutcomeStopped, "stopped"},
		{errors.New("something else"), OutcomeSilence, "something else"},
		{RefusedBy(5, "x"), OutcomeRefused,
			`server refused the connection: not authorised; check user name, password and access rules of client id "x"`},
	} {
		if f := Of(tt.err, time.Now()); f.Kind != tt.kind || f.Error() != tt.says {
			t.Errorf("%v: kind %d, %q", tt.err, f.Kind, f)
		}
	}
}

func TestClockThatIsNotSetIsNoReasonToWaitLong(t *testing.T) {
	a := brokertest.NewAuthority(t, "ca")
	ca, err := os.ReadFile(a.File("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		from, to time.Duration
		kind     Outcome
		why      string
	}{
		{"expired", -2 * time.Hour, -time.Hour, OutcomeRefused, "expired"},
		{"not yet valid", time.Hour, 2 * time.Hour, OutcomeSilence, "our clock says"},
	} {
		cert, _ := a.Issue(tt.name, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(tt.from), time.Now().Add(tt.to)
		})
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(ca) {
			t.Fatal("no certificate of the authority")
		}
		_, err := cert.Verify(x509.VerifyOptions{Roots: roots})
		if f := Of(err, time.Now()); f.Kind != tt.kind || !strings.Contains(f.Error(), tt.why) {
			t.Errorf("%s: kind %d, %v", tt.name, f.Kind, f)
		}
	}
}

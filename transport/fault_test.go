package transport

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
		kind outcome
		says string
	}{
		{io.EOF, outcomeClosed, "closed by the server"},
		{io.ErrUnexpectedEOF, outcomeClosed, "closed by the server"},
		{&websocket.CloseError{Code: 1000}, outcomeClosed, "closed by the server"},
		{op("read", os.NewSyscallError("read", syscall.ECONNRESET)), outcomeClosed, "reset by the server or something on the way"},
		{op("dial", os.NewSyscallError("connect", syscall.ECONNREFUSED)), outcomeSilence, "connection refused: nothing listens there"},
		{op("dial", os.NewSyscallError("connect", syscall.EHOSTUNREACH)), outcomeSilence, "dial: connect: no route to host"},
		{op("read", os.NewSyscallError("read", syscall.ETIMEDOUT)), outcomeSilence, "no answer in time"},
		{op("dial", &net.DNSError{Name: "h", IsNotFound: true}), outcomeSilence, "the name h is not known"},
		{op("dial", &net.DNSError{Name: "h", Err: "read udp 127.0.0.1:40000: i/o timeout"}), outcomeSilence, "no name server tells the address of h"},
		{op("remote error", errors.New("tls: bad certificate")), outcomeRefused, "server refused our certificate: tls: bad certificate"},
		{os.ErrDeadlineExceeded, outcomeSilence, "no answer in time"},
		{context.DeadlineExceeded, outcomeSilence, "no answer in time"},
		{context.Canceled, outcomeStopped, "stopped"},
		{errors.New("something else"), outcomeSilence, "something else"},
		{refusedBy(5, "x"), outcomeRefused, `server refused the connection: not authorised; check user name, password and access rules of client id "x"`},
	} {
		if f := asFault(tt.err, time.Now()); f.kind != tt.kind || f.Error() != tt.says {
			t.Errorf("%v: kind %d, %q", tt.err, f.kind, f)
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
		kind     outcome
		why      string
	}{
		{"expired", -2 * time.Hour, -time.Hour, outcomeRefused, "expired"},
		{"not yet valid", time.Hour, 2 * time.Hour, outcomeSilence, "our clock says"},
	} {
		cert, _ := a.Issue(tt.name, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(tt.from), time.Now().Add(tt.to)
		})
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(ca) {
			t.Fatal("no certificate of the authority")
		}
		_, err := cert.Verify(x509.VerifyOptions{Roots: roots})
		if f := asFault(err, time.Now()); f.kind != tt.kind || !strings.Contains(f.Error(), tt.why) {
			t.Errorf("%s: kind %d, %v", tt.name, f.kind, f)
		}
	}
}

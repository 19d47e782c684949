package netdial

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/brokertest"
	"github.com/linkbeat/linkbeat/transport/faults"
)

// flood is a server that says begins and then repeats something for ever, whatever it is told. It counts what is taken of that.
type flood struct {
	net.Conn
	begins, repeats string
	taken           int
}

func (f *flood) Read(p []byte) (n int, _ error) {
	for n < len(p) {
		if f.begins == "" {
			f.begins = f.repeats
		}
		k := copy(p[n:], f.begins)
		f.begins, n = f.begins[k:], n+k
	}
	f.taken += n
	return n, nil
}

func (f *flood) Write(p []byte) (int, error)      { return len(p), nil }
func (f *flood) Close() error                     { return nil }
func (f *flood) SetDeadline(time.Time) error      { return nil }
func (f *flood) SetReadDeadline(time.Time) error  { return nil }
func (f *flood) SetWriteDeadline(time.Time) error { return nil }
func (f *flood) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (f *flood) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// floods are answers in HTTP that do not end, each in another part.
func floods() map[string]*flood {
	return map[string]*flood{
		"headers":            {begins: "HTTP/1.1 101 X\r\n", repeats: "X-Filler: of some length\r\n"},
		"one long header":    {begins: "HTTP/1.1 101 X\r\nX-Filler: ", repeats: "aaaaaaaa"},
		"one header on many": {begins: "HTTP/1.1 101 X\r\nX-Filler: a", repeats: "\r\n continued"},
		"a long status line": {begins: "HTTP/1.1 101 ", repeats: "X"},
		"no line at all":     {repeats: "\x00"},
	}
}

func TestAnEndlessAnswerToTheWebSocketRequestIsGivenUp(t *testing.T) {
	for name, f := range floods() {
		t.Run(name, func(t *testing.T) {
			e, err := NewEndpoint(Server{URL: "ws://broker.example.net"})
			if err != nil {
				t.Fatal(err)
			}
			d := New(Options{Dial: func(context.Context, string, string) (net.Conn, error) { return f, nil }})
			_, err = d.Open(t.Context(), e, CauseHandshake)
			refused(t, err, f.taken, maxUpgradeBytes, "sent more than 16 KiB of headers before it answered")
		})
	}
}

func TestAnEndlessAnswerOfAProxyIsGivenUp(t *testing.T) {
	all := floods()
	all["the body of a refusal"] = &flood{begins: "HTTP/1.1 403 No\r\nContent-Length: 99999999999\r\n\r\n", repeats: "no "}
	all["the chunks of a refusal"] = &flood{begins: "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n",
		repeats: "1\r\nx\r\n"}
	all["headers of the right kind"] = &flood{begins: "HTTP/1.1 200 X\r\n", repeats: "X-Filler: of some length\r\n"}
	for name, f := range all {
		t.Run(name, func(t *testing.T) {
			p, err := NewProxy("http://gw:secret@proxy")
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Tunnel(t.Context(), f, "broker:1883")
			want := "proxy sent more than 16 KiB of headers before it answered"
			if strings.Contains(name, "refusal") {
				want = "403"
			}
			refused(t, err, f.taken, maxProxyBytes, want)
			if _, ok := err.(*ProxyError); !ok {
				t.Errorf("%T: diag must know that it is the proxy's", err)
			}
		})
	}
}

func TestASOCKSProxySaysLittle(t *testing.T) {
	for name, f := range map[string]*flood{
		"a long name": {begins: "\x05\x00\x05\x00\x00\x03\xff", repeats: "a"},
		"no SOCKS":    {repeats: "\xff"},
	} {
		p, err := NewProxy("socks5://proxy")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = p.Tunnel(t.Context(), f, "broker:1883")
		if f.taken > 512 {
			t.Errorf("%s: %d bytes were taken", name, f.taken)
		}
	}
}

func refused(t *testing.T, err error, taken, most int, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	if taken > most {
		t.Errorf("%d bytes were taken, at most %d", taken, most)
	}
}

// counted counts what is read.
type counted struct {
	net.Conn
	n atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// serveTLS is a TLS server at the other end, which goes on with then.
func serveTLS(t *testing.T, config *tls.Config, then func(*tls.Conn)) *counted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close(); <-done })
	go func() {
		defer close(done)
		c := tls.Server(theirs, config)
		if c.Handshake() == nil && then != nil {
			then(c)
		}
		_ = c.Close()
	}()
	return &counted{Conn: ours}
}

func own(certs []*x509.Certificate, key *ecdsa.PrivateKey) tls.Certificate {
	c := tls.Certificate{PrivateKey: key}
	for _, x := range certs {
		c.Certificate = append(c.Certificate, x.Raw)
	}
	return c
}

// TestTLSIsBoundedInSum: each message of a handshake has a bound in the library, which their sum has not.
func TestTLSIsBoundedInSum(t *testing.T) {
	a := brokertest.NewAuthority(t, "ca")
	leaf, key := a.Issue("server", brokertest.OnLoopback)
	stuffed, _ := a.Issue("stuffed", func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 99999, 1}, Value: make([]byte, 60<<10)}}
	})
	wordy, _ := a.Issue("wordy", func(c *x509.Certificate) {
		c.Subject.OrganizationalUnit = []string{strings.Repeat("x", 48<<10)}
	})
	callers := x509.NewCertPool()
	callers.AddCert(wordy)
	for name, version := range map[string]uint16{"TLS 1.3": tls.VersionTLS13, "TLS 1.2": tls.VersionTLS12} {
		t.Run(name, func(t *testing.T) {
			c := serveTLS(t, &tls.Config{
				Certificates: []tls.Certificate{own([]*x509.Certificate{leaf, stuffed, stuffed, stuffed, stuffed}, key)},
				MaxVersion:   version, ClientAuth: tls.RequestClientCert, ClientCAs: callers,
			}, nil)
			e, err := NewEndpoint(Server{URL: "mqtts://127.0.0.1", TLS: TLSOptions{CAFile: a.File("ca.crt")}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = e.handshake(t.Context(), c, time.Time{})
			refused(t, err, int(c.n.Load()), maxTLSBytes, "sent more than 256 KiB of certificates")
			if f := faults.Of(err, time.Now()); f.Kind != faults.OutcomeNonsense {
				t.Errorf("%+v", f)
			}
		})
	}
}

// TestABoundEndsWithTheHandshake: what a server that is known sends is not counted.
func TestABoundEndsWithTheHandshake(t *testing.T) {
	a := brokertest.NewAuthority(t, "ca")
	leaf, key := a.Issue("server", brokertest.OnLoopback)
	c := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{own([]*x509.Certificate{leaf}, key)}}, func(c *tls.Conn) {
		for range 1024 {
			if _, err := c.Write(make([]byte, 1024)); err != nil {
				return
			}
		}
	})
	e, err := NewEndpoint(Server{URL: "mqtts://127.0.0.1", TLS: TLSOptions{CAFile: a.File("ca.crt")}})
	if err != nil {
		t.Fatal(err)
	}
	up, err := e.handshake(t.Context(), c, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	all, buf := 0, make([]byte, 4096)
	for err == nil {
		var n int
		n, err = up.Read(buf)
		all += n
	}
	if all != 1<<20 {
		t.Errorf("%d bytes came, %v", all, err)
	}
}

// TestAnEndlessUpgradeOverTLSIsGivenUp is wss: the headers are counted above TLS, its records below.
func TestAnEndlessUpgradeOverTLSIsGivenUp(t *testing.T) {
	a := brokertest.NewAuthority(t, "ca")
	leaf, key := a.Issue("server", brokertest.OnLoopback)
	c := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{own([]*x509.Certificate{leaf}, key)}}, func(c *tls.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, err := c.Write([]byte("HTTP/1.1 101 X\r\n"))
		for err == nil {
			_, err = c.Write([]byte("X-Filler: of some length\r\n"))
		}
	})
	e, err := NewEndpoint(Server{URL: "wss://127.0.0.1", TLS: TLSOptions{CAFile: a.File("ca.crt")}})
	if err != nil {
		t.Fatal(err)
	}
	d := New(Options{Dial: func(context.Context, string, string) (net.Conn, error) { return c, nil }})
	_, err = d.Open(t.Context(), e, CauseHandshake)
	refused(t, err, int(c.n.Load()), 3*maxUpgradeBytes, "sent more than 16 KiB of headers before it answered")
}

// TestAHugeFileOfCertificatesIsNotRead: neither at a dial, nor when it is looked whether it has changed.
func TestAHugeFileOfCertificatesIsNotRead(t *testing.T) {
	huge := filepath.Join(t.TempDir(), "ca.pem")
	if err := errors.Join(os.WriteFile(huge, nil, 0o600), os.Truncate(huge, 300<<20)); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]TLSOptions{
		"ca_file": {CAFile: huge}, "cert_file": {CertFile: huge, KeyFile: huge}, "a device": {CAFile: "/dev/zero"},
	} {
		e, err := NewEndpoint(Server{URL: "mqtts://broker", TLS: o})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = e.TLSConfig()
		e.Fingerprint()
		e.Expires()
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "at most 4194304 are read") {
			t.Errorf("%s: %v", name, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
	}
}

package diagnose

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// reach goes up to where MQTT begins.
func (r *running) reach(ctx context.Context) (net.Conn, bool) {
	target := r.e.Addr
	if r.Proxy != nil {
		target = r.Proxy.Addr
	}
	addresses, ok := r.resolve(ctx, target)
	if !ok {
		return nil, false
	}
	c, ok := r.tcp(ctx, addresses)
	if !ok {
		return nil, false
	}
	return r.ascend(ctx, c, r.step)
}

// again is reach without a word, to the address that answered.
func (r *running) again(ctx context.Context) (net.Conn, error) {
	dial, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := r.Dial(dial, "tcp", r.answer)
	if err != nil {
		return nil, err
	}
	var last Step
	up, ok := r.ascend(ctx, c, func(s Step) { last = s })
	if !ok {
		return nil, &stepError{last.Fault, errors.New(last.Text)}
	}
	return up, nil
}

// resolve finds the addresses (with port) of target; those of an address are itself.
func (r *running) resolve(ctx context.Context, target string) ([]string, bool) {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		r.step(Step{Name: StepDNS, Fault: FaultOther, Text: err.Error()})
		return nil, false
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return []string{target}, true
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := r.Resolve(ctx, host)
	s := Step{Name: StepDNS, Took: time.Since(start)}
	if err != nil {
		r.fail(&s, err)
		r.step(s)
		return nil, false
	}
	var with, without []string
	for _, a := range found {
		a = a.Unmap()
		with, without = append(with, net.JoinHostPort(a.String(), port)), append(without, a.String())
	}
	s.Text = fmt.Sprintf("%s is %s", host, strings.Join(without, ", "))
	r.step(s)
	return with, true
}

// tcp tries one address after the other.
func (r *running) tcp(ctx context.Context, addresses []string) (net.Conn, bool) {
	start := time.Now()
	s := Step{Name: StepTCP}
	ctx, cancel := context.WithTimeout(ctx, rounds*patience)
	defer cancel()
	var failed []string
	var last error
	for _, a := range addresses {
		dial, stop := context.WithTimeout(ctx, patience)
		c, err := r.Dial(dial, "tcp", a)
		stop()
		if err == nil {
			s.Took, r.answer = time.Since(start), a
			s.Text = strings.Join(append([]string{fmt.Sprintf("%s answers, from %s", a, ipOf(c.LocalAddr()))}, failed...), "; ")
			r.step(s)
			return c, true
		}
		_, text := faultOf(err, r.Now())
		failed, last = append(failed, a+": "+text), err
	}
	s.Took = time.Since(start)
	s.Fault, _ = faultOf(last, r.Now())
	s.Text = strings.Join(failed, "; ")
	r.step(s)
	return nil, false
}

func ipOf(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.IP.String()
	}
	return a.String()
}

// ascend goes from TCP through proxy, TLS and WebSocket, and closes c when one of them fails.
func (r *running) ascend(ctx context.Context, c net.Conn, report func(Step)) (net.Conn, bool) {
	raw := c
	rungs := []struct {
		name  string
		needs bool
		climb func(context.Context, net.Conn, *Step) (net.Conn, error)
	}{
		{StepProxy, r.Proxy != nil, r.tunnel},
		{StepTLS, r.e.Scheme.TLS, r.tls},
		{StepWebSocket, r.e.Scheme.WebSocket, r.upgrade},
	}
	for _, rung := range rungs {
		if !rung.needs {
			continue
		}
		s, start := Step{Name: rung.name}, time.Now()
		ctx, cancel := context.WithTimeout(ctx, patience)
		up, err := rung.climb(ctx, c, &s)
		cancel()
		if s.Took = time.Since(start); err != nil {
			_ = raw.Close()
			r.fail(&s, err)
			report(s)
			return nil, false
		}
		report(s)
		c = up
	}
	return c, true
}

func (r *running) tunnel(ctx context.Context, c net.Conn, s *Step) (net.Conn, error) {
	s.Text = fmt.Sprintf("%s connects us to %s", r.Proxy.Name, r.e.Addr)
	return r.Proxy.Tunnel(ctx, c, r.e.Addr)
}

func (r *running) upgrade(ctx context.Context, c net.Conn, s *Step) (net.Conn, error) {
	s.Text = "server speaks MQTT over WebSocket"
	up, err := r.e.Upgrade(ctx, c)
	var f *faults.Fault
	if errors.As(err, &f) {
		return nil, &stepError{FaultWebSocket, err}
	}
	return up, err
}

func (r *running) tls(ctx context.Context, c net.Conn, s *Step) (net.Conn, error) {
	config, err := r.e.TLSConfig()
	if err != nil {
		return nil, &stepError{FaultFiles, err}
	}
	config.Time, config.ClientSessionCache = r.Now, nil // a resumed session shows no chain
	t, err := netdial.Handshake(ctx, c, config)
	var verify *tls.CertificateVerificationError
	shown := t.ConnectionState().PeerCertificates
	if errors.As(err, &verify) {
		shown = verify.UnverifiedCertificates
	}
	if len(shown) > 0 {
		s.Certs = append(s.Certs, certOf(shown[0], false))
	}
	for _, own := range config.Certificates {
		if leaf, err := x509.ParseCertificate(own.Certificate[0]); err == nil {
			s.Certs = append(s.Certs, certOf(leaf, true))
		}
	}
	s.Text = tls.VersionName(t.ConnectionState().Version)
	if chains := t.ConnectionState().VerifiedChains; len(chains) > 0 {
		s.Text += ", trusted through " + nameOf(chains[0][len(chains[0])-1])
	}
	return t, err
}

func certOf(c *x509.Certificate, ours bool) Cert {
	return Cert{Ours: ours, Subject: nameOf(c), Issuer: c.Issuer.CommonName, NotBefore: c.NotBefore, NotAfter: c.NotAfter}
}

// nameOf is what a person calls a certificate.
func nameOf(c *x509.Certificate) string {
	switch {
	case c.Subject.CommonName != "":
		return c.Subject.CommonName
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	}
	return c.Subject.String()
}

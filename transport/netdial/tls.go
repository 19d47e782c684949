package netdial

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/linkbeat/linkbeat/transport/capped"
	"github.com/linkbeat/linkbeat/transport/secretfile"
)

const sessionTickets = 4 // per server: the main link and a probe each use up one

// handshake speaks TLS over c.
func (e *Endpoint) handshake(ctx context.Context, c net.Conn, floor time.Time) (net.Conn, error) {
	config, err := e.TLSConfig()
	if err != nil {
		return nil, err
	}
	config.Time = func() time.Time {
		if now := time.Now(); now.After(floor) {
			return now
		}
		return floor
	}
	t, err := Handshake(ctx, c, config)
	if err != nil {
		return nil, err
	}
	e.sawCertificates(t.ConnectionState(), config.Certificates)
	return t, nil
}

// Expiry is when certificates end; zero: there is none, or it was not seen yet.
type Expiry struct {
	Server, Own time.Time
}

// sawCertificates notes when they end.
func (e *Endpoint) sawCertificates(state tls.ConnectionState, own []tls.Certificate) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(state.PeerCertificates) > 0 {
		e.expiry.Server = state.PeerCertificates[0].NotAfter
	}
	for _, c := range own {
		if c.Leaf != nil {
			e.expiry.Own = c.Leaf.NotAfter
		}
	}
}

// Expires is when they end; our own as its file says now, as the next dial will use that.
func (e *Endpoint) Expires() Expiry {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.TLS.CertFile == "" {
		return e.expiry
	}
	if info, err := os.Stat(e.TLS.CertFile); err == nil && !info.ModTime().Equal(e.certAt) {
		e.certAt = info.ModTime()
		if pair, _, _, err := e.TLS.own(); err == nil && pair.Leaf != nil {
			e.expiry.Own = pair.Leaf.NotAfter
		}
	}
	return e.expiry
}

// Fingerprint changes when a file or the password of the endpoint does.
func (e *Endpoint) Fingerprint() [sha256.Size]byte {
	sum := sha256.New()
	for _, name := range []string{e.TLS.CAFile, e.TLS.CertFile, e.TLS.KeyFile} {
		if name != "" {
			p, _ := capped.ReadFile(name, capped.PEM) // one that cannot be read is another one too
			fmt.Fprintf(sum, "%d\n%s", len(p), p)
		}
	}
	password, _ := e.ReadPassword()
	_, _ = sum.Write([]byte(password))
	return [sha256.Size]byte(sum.Sum(nil))
}

// TLSConfig reads the files again. Tickets of a session that was verified against other files are forgotten.
func (e *Endpoint) TLSConfig() (*tls.Config, error) {
	o, sum := e.TLS, sha256.New()
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.ServerName, NextProtos: o.ALPN}
	if config.ServerName == "" {
		config.ServerName = e.host
	}
	if o.CAFile != "" {
		pem, err := secretfile.Read(o.CAFile, capped.PEM)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file %s: no certificate in it", o.CAFile)
		}
		sum.Write(pem)
	}
	if o.CertFile != "" || o.KeyFile != "" {
		if err := e.addCertificate(config, sum.Write); err != nil {
			return nil, err
		}
	}
	config.ClientSessionCache = e.tickets([32]byte(sum.Sum(nil)))
	return config, nil
}

func (e *Endpoint) addCertificate(config *tls.Config, sum func([]byte) (int, error)) error {
	pair, cert, key, err := e.TLS.own()
	if err != nil {
		return err
	}
	config.Certificates = []tls.Certificate{pair}
	_, _ = sum(cert)
	_, _ = sum(key)
	return nil
}

// own reads our certificate and its key, and returns their files too.
func (o TLSOptions) own() (pair tls.Certificate, cert, key []byte, err error) {
	if cert, err = secretfile.Read(o.CertFile, capped.PEM); err != nil {
		return pair, nil, nil, fmt.Errorf("cert_file: %w", err)
	}
	if key, err = secretfile.Read(o.KeyFile, capped.PEM); err != nil {
		return pair, nil, nil, fmt.Errorf("key_file: %w", err)
	}
	if pair, err = tls.X509KeyPair(cert, key); err != nil {
		return pair, nil, nil, fmt.Errorf("cert_file %s: %w", o.CertFile, err)
	}
	return pair, cert, key, nil
}

func (e *Endpoint) tickets(files [32]byte) tls.ClientSessionCache {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cache == nil || e.files != files {
		e.cache, e.files = tls.NewLRUClientSessionCache(sessionTickets), files
	}
	return e.cache
}

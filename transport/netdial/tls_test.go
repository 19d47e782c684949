package netdial

import (
	"crypto/x509"
	"os"
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/transport/brokertest"
)

func TestCertificatesAreReadAgain(t *testing.T) {
	a := brokertest.NewAuthority(t, "ca")
	a.Issue("server", brokertest.OnLoopback)
	a.Issue("gw-1", brokertest.Named("gw-1"))
	e, err := NewEndpoint(Server{URL: "mqtts://127.0.0.1", TLS: TLSOptions{CAFile: a.File("ca.crt"), CertFile: a.File("gw-1.crt"),
		KeyFile: a.File("gw-1.key")}})
	if err != nil {
		t.Fatal(err)
	}
	leaf := func() (*x509.Certificate, any) {
		c, err := e.TLSConfig()
		if err != nil {
			t.Fatal(err)
		}
		return c.Certificates[0].Leaf, c.ClientSessionCache
	}
	first, cache := leaf()
	if _, same := leaf(); same != cache {
		t.Error("tickets were forgotten although nothing changed")
	}
	a.Issue("gw-1", brokertest.Named("gw-1"))
	if second, other := leaf(); second.Equal(first) || other == cache {
		t.Error("the new certificate was not read, or tickets of the old one are kept")
	}
	if err := os.WriteFile(a.File("ca.crt"), []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := e.TLSConfig(); err == nil || !strings.Contains(err.Error(), "no certificate in it") {
		t.Errorf("got %v", err)
	}
}

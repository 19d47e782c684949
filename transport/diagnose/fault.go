package diagnose

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// Fault is what is wrong, in one word; what to do about it is for others to say.
type Fault string

// What a step can fail with.
const (
	FaultNoName      Fault = "no_such_name"      // the name server says that there is none
	FaultNoDNS       Fault = "no_name_server"    // none answers
	FaultUnreachable Fault = "unreachable"       // no route
	FaultRefused     Fault = "refused"           // nothing listens there
	FaultSilence     Fault = "silence"           // no answer in time
	FaultClosed      Fault = "closed"            // by the server, or something on the way
	FaultPermission  Fault = "permission"        // the kernel does not let us
	FaultProxy       Fault = "proxy"             // it answers, and does not connect us
	FaultProxyLogin  Fault = "proxy_login"       // it wants another login
	FaultFiles       Fault = "files"             // a file of ours cannot be read
	FaultNoTLS       Fault = "no_tls"            // something else is spoken there
	FaultAuthority   Fault = "unknown_authority" // no authority that we trust signed the server's certificate
	FaultName        Fault = "other_name"        // it is for another name
	FaultExpired     Fault = "expired"           // it was valid
	FaultClock       Fault = "clock"             // it will be valid, says our clock
	FaultCertificate Fault = "bad_certificate"   // anything else about it
	FaultOurs        Fault = "our_certificate"   // the server does not accept ours
	FaultAlert       Fault = "tls_alert"         // the server ended TLS for another reason
	FaultWebSocket   Fault = "websocket"         // the server answers, and makes no WebSocket
	FaultNoMQTT      Fault = "no_mqtt"           // something else is spoken there
	FaultVersion     Fault = "version"           // CONNACK 1
	FaultClientID    Fault = "client_id"         // CONNACK 2
	FaultUnavailable Fault = "unavailable"       // CONNACK 3
	FaultLogin       Fault = "login"             // CONNACK 4
	FaultNotAllowed  Fault = "not_authorised"    // CONNACK 5
	FaultDenied      Fault = "denied"            // a topic
	FaultKeepalive   Fault = "keepalive"         // the server does not take so long a one
	FaultLasting     Fault = "lasting"           // nor a session that it is to keep
	FaultWill        Fault = "will"              // nor a will
	FaultRetain      Fault = "retain"            // nor what is retained
	FaultTogether    Fault = "together"          // nor all that a gateway asks for at once
	FaultSize        Fault = "size"              // nor so large a message
	FaultStopped     Fault = "stopped"           // by whoever asked
	FaultOther       Fault = "other"
)

// connackFaults are the return codes of CONNACK, from 1 on.
var connackFaults = []Fault{FaultVersion, FaultClientID, FaultUnavailable, FaultLogin, FaultNotAllowed}

// stepError is an error that knows its fault.
type stepError struct {
	fault Fault
	err   error
}

func (e *stepError) Error() string { return e.err.Error() }

func (e *stepError) Unwrap() error { return e.err }

// faultOf is what an error of a step means, as a word and as a sentence.
func faultOf(err error, now time.Time) (Fault, string) {
	var known *stepError
	text := faults.Of(err, now).Error()
	if errors.As(err, &known) {
		return known.fault, text
	}
	var proxy *netdial.ProxyError
	switch {
	case errors.As(err, &proxy) && proxy.Login:
		return FaultProxyLogin, text
	case proxy != nil:
		return FaultProxy, text
	}
	if f := certFaultOf(err, now); f != "" {
		return f, text
	}
	if alert := alertOf(err); alert != "" && !aboutUs(alert) {
		return FaultAlert, "server ended TLS: " + alert
	}
	return pathFaultOf(err), text
}

// alertOf is what the server said when it ended TLS; empty: it did not. The library has no exported type for it.
func alertOf(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return op.Err.Error()
	}
	return ""
}

// aboutUs reports that an alert is about the client's certificate (RFC 8446, 6.2).
func aboutUs(alert string) bool {
	return slices.ContainsFunc([]string{"certificate", "access denied", "decrypt"},
		func(s string) bool { return strings.Contains(alert, s) })
}

func pathFaultOf(err error) Fault {
	var (
		f     *faults.Fault
		name  *net.DNSError
		plain tls.RecordHeaderError
		path  *fs.PathError
	)
	switch {
	case errors.Is(err, context.Canceled):
		return FaultStopped
	case errors.As(err, &f) && f.Kind == faults.OutcomeNonsense:
		return FaultNoMQTT
	case errors.As(err, &plain):
		return FaultNoTLS
	case alertOf(err) != "":
		return FaultOurs
	case errors.As(err, &name) && name.IsNotFound:
		return FaultNoName
	case errors.As(err, &name):
		return FaultNoDNS
	case errors.As(err, &path):
		return FaultFiles
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return FaultUnreachable
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return FaultPermission
	case errors.Is(err, syscall.ECONNREFUSED):
		return FaultRefused
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return FaultSilence
	}
	switch faults.Of(err, time.Time{}).Kind {
	case faults.OutcomeClosed:
		return FaultClosed
	case faults.OutcomeSilence:
		return FaultSilence
	}
	return FaultOther
}

// certFaultOf is what is wrong with the server's certificate; empty for any other error.
func certFaultOf(err error, now time.Time) Fault {
	var (
		unknown  x509.UnknownAuthorityError
		rootless x509.SystemRootsError
		name     x509.HostnameError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &unknown), errors.As(err, &rootless):
		return FaultAuthority
	case errors.As(err, &name):
		return FaultName
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if invalid.Cert != nil && now.Before(invalid.Cert.NotBefore) {
			return FaultClock
		}
		return FaultExpired
	case errors.As(err, &invalid), errors.As(err, &verify):
		return FaultCertificate
	}
	return ""
}

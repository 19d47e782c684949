package transport

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

// TrialFault is what is wrong, in one word; what to do about it is for others to say.
type TrialFault string

// What a step can fail with.
const (
	FaultNoName      TrialFault = "no_such_name"      // the name server says that there is none
	FaultNoDNS       TrialFault = "no_name_server"    // none answers
	FaultUnreachable TrialFault = "unreachable"       // no route
	FaultRefused     TrialFault = "refused"           // nothing listens there
	FaultSilence     TrialFault = "silence"           // no answer in time
	FaultClosed      TrialFault = "closed"            // by the server, or something on the way
	FaultPermission  TrialFault = "permission"        // the kernel does not let us
	FaultProxy       TrialFault = "proxy"             // it answers, and does not connect us
	FaultProxyLogin  TrialFault = "proxy_login"       // it wants another login
	FaultFiles       TrialFault = "files"             // a file of ours cannot be read
	FaultNoTLS       TrialFault = "no_tls"            // something else is spoken there
	FaultAuthority   TrialFault = "unknown_authority" // nobody that we trust signed the server's certificate
	FaultName        TrialFault = "other_name"        // it is for another name
	FaultExpired     TrialFault = "expired"           // it was valid
	FaultClock       TrialFault = "clock"             // it will be valid, says our clock
	FaultCertificate TrialFault = "bad_certificate"   // anything else about it
	FaultOurs        TrialFault = "our_certificate"   // the server does not accept ours
	FaultAlert       TrialFault = "tls_alert"         // the server ended TLS for another reason
	FaultWebSocket   TrialFault = "websocket"         // the server answers, and makes no WebSocket
	FaultNoMQTT      TrialFault = "no_mqtt"           // something else is spoken there
	FaultVersion     TrialFault = "version"           // CONNACK 1
	FaultClientID    TrialFault = "client_id"         // CONNACK 2
	FaultUnavailable TrialFault = "unavailable"       // CONNACK 3
	FaultLogin       TrialFault = "login"             // CONNACK 4
	FaultNotAllowed  TrialFault = "not_authorised"    // CONNACK 5
	FaultDenied      TrialFault = "denied"            // a topic
	FaultStopped     TrialFault = "stopped"           // by whoever asked
	FaultOther       TrialFault = "other"
)

// connackFaults are the return codes of CONNACK, from 1 on.
var connackFaults = []TrialFault{FaultVersion, FaultClientID, FaultUnavailable, FaultLogin, FaultNotAllowed}

// trialError is an error that knows its fault.
type trialError struct {
	fault TrialFault
	err   error
}

func (e *trialError) Error() string { return e.err.Error() }

func (e *trialError) Unwrap() error { return e.err }

// faultOf says what an error of a step means, and tells it in words.
func faultOf(err error, now time.Time) (TrialFault, string) {
	var known *trialError
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

// aboutUs tells the alerts about a client's certificate (RFC 8446, 6.2) from the rest.
func aboutUs(alert string) bool {
	return slices.ContainsFunc([]string{"certificate", "access denied", "decrypt"}, func(s string) bool { return strings.Contains(alert, s) })
}

func pathFaultOf(err error) TrialFault {
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
func certFaultOf(err error, now time.Time) TrialFault {
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

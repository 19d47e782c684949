package config

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/transport/brokerurl"
	"github.com/linkbeat/linkbeat/transport/capped"
	"github.com/linkbeat/linkbeat/transport/secretfile"
)

// Encrypted is true for a URL whose scheme has TLS.
func (s Server) Encrypted() bool {
	scheme, _ := brokerurl.Of(s.URL.Reveal())
	return scheme.TLS
}

// Host is the name or address of the server, without a port; "" for a URL that [Parse] would refuse.
func (s Server) Host() string { return s.URL.Host() }

// Encrypted is true when at least one server has TLS.
func (u *Uplink) Encrypted() bool {
	for _, s := range u.Servers {
		if s.Encrypted() {
			return true
		}
	}
	return false
}

// AllEncrypted is true when every server has TLS.
func (u *Uplink) AllEncrypted() bool {
	for _, s := range u.Servers {
		if !s.Encrypted() {
			return false
		}
	}
	return true
}

// ConnectKeepalive is the most that CONNECT carries: the fixed value, or for auto the ceiling.
func (u *Uplink) ConnectKeepalive() time.Duration {
	if u.Keepalive.Auto {
		return u.KeepaliveCeiling.Std()
	}
	return u.Keepalive.Duration.Std()
}

// AtOnce is what may be spent without waiting for a part of the month.
func (b ProbeBudget) AtOnce() Size {
	if b.Burst == 0 {
		return b.Month
	}
	return b.Burst
}

// With is s with what the uplink says for all its servers, where s says nothing itself. A server with a login of its own shares
// no part of the uplink's, and so with tls.
func (u *Uplink) With(s Server) Server {
	if s.Username == "" && s.Password.IsZero() && s.PasswordFile == "" {
		s.Username, s.Password, s.PasswordFile = u.Username, u.Password, u.PasswordFile
	} else if s.Username == "" {
		s.Username = u.Username
	}
	if s.TLS.IsZero() {
		s.TLS = u.TLS
	}
	return s
}

// LoginInClear reports that s would get a login, or a URL's query, which may be a token, in a way that others can read: it has no
// TLS, and what is sent leaves this machine, if only to a proxy. Not where insecure_login allows it.
func (u *Uplink) LoginInClear(s Server) bool {
	if s.InsecureLogin || !s.URL.InClear() || u.With(s).Username == "" && !s.URL.HoldsSecret() {
		return false
	}
	proxied := u.Proxy != "" && u.Proxy != NoProxy && !u.Proxy.OnLoopback()
	return proxied || !s.URL.OnLoopback()
}

// Withheld reports that s gets no login: it would be in clear, and a server with TLS stands beside it. Whoever is on the path
// would only have to block that one to read the password of both.
func (u *Uplink) Withheld(s Server) bool { return u.Encrypted() && u.LoginInClear(s) }

// whyInClear says what is wrong with the login at s, and what to do; empty: nothing.
func (u *Uplink) whyInClear(s Server) string {
	what := "username and password are sent"
	if u.With(s).Username == "" {
		what = "the query of the URL, which may be a token, is sent"
	}
	scheme, _ := brokerurl.Of(s.URL.Reveal())
	do := fmt.Sprintf("use %s, or give the login only to servers with %s, or set insecure_login: true at this server",
		secured(scheme), schemesWithTLS())
	switch {
	case !u.LoginInClear(s):
		return ""
	case u.Withheld(s):
		return fmt.Sprintf("gets no login (username, password, query): in clear (%s://), whoever blocks the server with TLS "+
			"beside it could read what both are sent: %s", scheme.Name, do)
	}
	return fmt.Sprintf("%s in clear (%s://) to whoever is on the path: %s", what, scheme.Name, do)
}

// secured is the scheme with TLS that stands for one without.
func secured(s brokerurl.Scheme) string {
	if s.WebSocket {
		return "wss://"
	}
	return "mqtts://"
}

// maxPassword bounds a password file, in bytes; MQTT allows 65535.
const maxPassword = 65535

// ReadPassword is the password, or the first line of password_file; "" when there is neither. It reads the file each time,
// so that a changed password needs no restart.
func (s Server) ReadPassword() (string, error) {
	if s.PasswordFile == "" {
		return s.Password.Reveal(), nil
	}
	p, err := secretfile.Read(string(s.PasswordFile), capped.Password)
	if err != nil {
		return "", fmt.Errorf("password_file: %w", err)
	}
	line, _, _ := bytes.Cut(p, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	switch {
	case len(line) == 0:
		return "", fmt.Errorf("password_file: the first line of %s is empty", s.PasswordFile)
	case len(line) > maxPassword:
		return "", fmt.Errorf("password_file: the first line of %s has %d bytes, at most %d", s.PasswordFile, len(line),
			maxPassword)
	}
	return string(line), nil
}

// leaveEarlier is how long before its first frame would be written to flash a batch leaves.
const leaveEarlier = 2 * second

// LongestBatch is how long a batch gathers at most, whatever its delay: so that it is acknowledged before write_after is over and
// nothing is written to flash while online. 0: no limit, as every frame is on disk at once.
func (s Spool) LongestBatch() Duration { return s.WriteAfter - min(leaveEarlier, s.WriteAfter/2) }

// SpoolDir is spool.dir with {state_dir} filled in.
func (d *Document) SpoolDir() string {
	return strings.ReplaceAll(d.Spool.Dir, "{state_dir}", strings.TrimRight(d.StateDir, "/"))
}

// LargestPayload is how long the longest payload of the serial devices may be, in bytes: of a frame of the longest that is
// allowed, or of a batch. 0: there is no device.
func (d *Document) LargestPayload() int {
	var most Size
	for _, s := range d.Serial {
		frame := s.Frame.Max
		if s.IsBus() {
			frame = 0 // registers are few
		}
		if !s.PayloadFormat().Bare() {
			switch s.PayloadEncoding() {
			case "hex":
				frame *= 2
			case "base64":
				frame = (frame + 2) / 3 * 4
			}
			frame += envelope
		}
		if most = max(most, frame); s.Batch.On() {
			most = max(most, s.Batch.Resolved().Bytes)
		}
	}
	return int(min(most, d.Uplink.MaxPayload))
}

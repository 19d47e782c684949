package diag

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/transport/brokerurl"
)

const (
	hidden    = "<secret>"
	minSecret = 4 // bytes: a shorter one is hidden where it stands in the configuration, and would garble all the rest

	minArgument = 8 // bytes of an argument of a command: most are words
)

// scrubber takes secrets out of whatever goes into a bundle: the net below the redaction of each file,
// as a log may hold anything.
type scrubber struct{ secrets [][]byte } // the longest first

// newScrubber knows the secrets of the document, of its password files, and of the environment (NAME=value).
func newScrubber(d *config.Document, environ []string) scrubber {
	var s scrubber
	for _, server := range append(slices.Clone(d.Uplink.Servers), config.Server{}) {
		login := d.Uplink.With(server)
		if p, err := login.ReadPassword(); err == nil {
			s.add(p)
			s.addLogin(login.Username, p)
		}
		s.add(server.Password.Reveal())
		s.addQuery(server.URL)
		for _, name := range []config.FileName{login.PasswordFile, login.TLS.CAFile, login.TLS.CertFile, login.TLS.KeyFile} {
			if name.String() != string(name) { // it may be a secret in the wrong place
				s.add(string(name))
			}
		}
	}
	s.add(d.Uplink.Password.Reveal())
	s.addURL(d.Uplink.Proxy.Reveal())
	for _, command := range d.Commands() {
		s.addArguments(command)
	}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		switch name = strings.ToUpper(name); {
		case strings.HasSuffix(name, "_PROXY"):
			s.addURL(value)
		case slices.ContainsFunc(secretNames(), func(part string) bool { return strings.Contains(name, part) }):
			if !strings.HasSuffix(name, "_FILE") {
				s.add(value)
			}
		}
	}
	slices.SortFunc(s.secrets, func(a, b []byte) int { return cmp.Compare(len(b), len(a)) })
	return s
}

// add takes a secret in every form that it may be written in.
func (s *scrubber) add(secret string) {
	if len(secret) < minSecret || secret == hidden {
		return
	}
	inJSON, _ := json.Marshal(secret) // a string always can
	unquoted := func(s string) string { return s[1 : len(s)-1] }
	for _, form := range []string{secret, unquoted(string(inJSON)), unquoted(strconv.Quote(secret)), url.QueryEscape(secret),
		url.PathEscape(secret),
		strings.ReplaceAll(secret, "'", "''"), strings.TrimPrefix(url.UserPassword("", secret).String(), ":"),
		base64.StdEncoding.EncodeToString([]byte(secret)), printable.Line(secret), // and as a log and a status have it:
		unquoted(string(printable.AppendJSON(nil, inJSON, 0)))} {
		s.secrets = append(s.secrets, []byte(form))
	}
}

// addLogin takes what HTTP makes of a login.
func (s *scrubber) addLogin(user, password string) {
	if password != "" {
		s.add(base64.StdEncoding.EncodeToString([]byte(user + ":" + password)))
	}
}

// addArguments takes those of a command, which may be tokens, and which an older log may hold. Short ones are words.
func (s *scrubber) addArguments(c config.Command) {
	for _, a := range c[min(1, len(c)):] {
		_, value, _ := strings.Cut(a, "=")
		for _, secret := range []string{a, value} {
			if len(secret) >= minArgument {
				s.add(secret)
			}
		}
	}
}

// addURL takes the login of a URL, and of what is nearly one.
func (s *scrubber) addURL(text string) {
	if u, err := url.Parse(text); err == nil && u.User != nil {
		password, _ := u.User.Password()
		s.add(password)
		s.addLogin(u.User.Username(), password)
	}
	_, rest, ok := strings.Cut(text, "://")
	if !ok {
		rest = text
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		s.add(rest[:at])
		_, password, _ := strings.Cut(rest[:at], ":")
		s.add(password)
	}
}

// addQuery takes the query of a URL, which may be a token.
func (s *scrubber) addQuery(text config.ServerURL) {
	u, err := text.Parse()
	if err != nil {
		return
	}
	s.add(u.RawQuery)
	for _, values := range u.Query() {
		for _, v := range values {
			s.add(v)
		}
	}
}

// scrub takes out what is known to be secret, and then what may be in a URL that nobody knows any more, such as last year's
// token.
func (s scrubber) scrub(p []byte) []byte {
	for _, secret := range s.secrets {
		p = bytes.ReplaceAll(p, secret, []byte(hidden))
	}
	return []byte(brokerurl.Scrub(string(p)))
}

// secretNames are what the name of a variable holds that is likely to be a secret.
func secretNames() []string {
	return []string{"PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "_PW", "SIGNATURE", "_SAS"}
}

package config

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/linkbeat/linkbeat/transport/brokerurl"
	"github.com/linkbeat/linkbeat/transport/secretfile"
)

func (c *checker) checkUplink() {
	u := &c.doc.Uplink
	if len(u.Servers) == 0 {
		c.bad("uplink.servers", "is missing: name at least one broker, such as [{url: mqtts://broker.example.net:8883}]")
	}
	seen := map[ServerURL]bool{}
	for i, s := range u.Servers {
		path := fmt.Sprintf("uplink.servers[%d]", i)
		if c.checkURL(path+".url", s.URL.Reveal()); s.URL != "" && seen[s.URL] {
			c.bad(path+".url", "names the same server again")
		}
		seen[s.URL] = true
		c.checkLogin(path, s.Username, s.Password, s.PasswordFile)
		checkUser(c, path+".username", s.Username)
		c.checkTLS(path+".tls", s.TLS)
		if why := u.whyInClear(s); why != "" && !c.faulted(path+".url") {
			c.objection(c.where(path+".url"), "%s", why)
		}
	}
	c.checkLogin("uplink", u.Username, u.Password, u.PasswordFile)
	checkUser(c, "uplink.username", u.Username)
	c.checkTLS("uplink.tls", u.TLS)
	if !u.TLS.IsZero() && len(u.Servers) > 0 && !u.Encrypted() {
		c.odd("uplink.tls", "has no effect: no server has %s", schemesWithTLS())
	}
	c.checkTimes(u)
	if u.Proxy != "" && u.Proxy != NoProxy {
		c.checkProxy(u.Proxy)
	}
	if len(u.PathHint.Command) > 0 || u.PathHint.Every != 0 {
		c.checkCommand("uplink.path_hint", u.PathHint)
	}
	for i, name := range u.Interfaces {
		if name == "" || len(name) > 15 || strings.ContainsAny(name, "/ ") { // IFNAMSIZ - 1
			c.bad(fmt.Sprintf("uplink.interfaces[%d]", i), "must be the name of an interface, such as eth0")
		}
	}
}

// checkURL never quotes the URL: it may hold a password.
func (c *checker) checkURL(path, text string) {
	if text == "" {
		c.bad(path, "is missing: such as mqtts://broker.example.net:8883")
		return
	}
	name, rest, ok := strings.Cut(text, "://")
	if !ok {
		c.bad(path, "must start with %s, such as mqtts://broker.example.net:8883", brokerurl.List("://", "or", nil))
		return
	}
	scheme, known := brokerurl.Named(name)
	if !known {
		c.bad(path, "has an unknown scheme: use %s%s", brokerurl.List("://", "or", nil), schemeHint(name))
		return
	}
	if strings.Contains(rest, "@") {
		c.bad(path, "must not hold a user or a password: put them into uplink.username and uplink.password_file")
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		c.bad(path, "is not a URL: write scheme://host:port")
	case u.Hostname() == "":
		c.bad(path, "names no host: write %s://host:port", name)
	case u.Port() != "" && !validPort(u.Port(), 1), strings.HasSuffix(u.Host, ":"):
		c.bad(path, "has no valid port: 1 to 65535")
	case u.Fragment != "" || strings.Contains(text, "#"):
		c.bad(path, "must not hold #")
	case !scheme.WebSocket && (strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery):
		c.bad(path, "must end after host:port: only %s have a path",
			brokerurl.List("://", "and", func(s brokerurl.Scheme) bool { return s.WebSocket }))
	}
}

func schemesWithTLS() string {
	return brokerurl.List("://", "or", func(s brokerurl.Scheme) bool { return s.TLS })
}

// schemeHint translates the names that other clients use.
func schemeHint(name string) string {
	if s, ok := brokerurl.Meant(name); ok {
		return "; did you mean " + s.Name + "?"
	}
	return ""
}

func validPort(text string, lowest int) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && int(n) >= lowest
}

func (c *checker) checkLogin(path, user string, password Secret, file FileName) {
	if !password.IsZero() && file != "" {
		c.bad(path+".password", "and password_file are both set: keep one")
	}
	if user == "" && (!password.IsZero() || file != "") && c.doc.Uplink.Username == "" {
		key := path + ".password"
		if file != "" {
			key = path + ".password_file"
		}
		c.bad(key, "needs a username: MQTT sends no password without one")
	}
	c.readable(path+".password_file", file)
	guard(c, path+".password_file", file)
}

// checkUser warns where rules by user name would deny the gateway all that it publishes.
func checkUser(c *checker, path, user string) {
	if user == "" || mayBe(c.doc.Device.ID, user) {
		return
	}
	c.odd(path, "is not device.id (%s): rules by user name, as linkbeatctl acl prints them without --id, deny this gateway "+
		"every topic: make the two the same, or give linkbeatctl acl --id and --user; other rules may fit as they are",
		c.doc.Device.ID)
}

// mayBe reports whether an id template may become name on some machine.
func mayBe(id, name string) bool {
	if before, after, ok := strings.Cut(id, "{mac6}"); ok {
		if strings.Contains(after, "{") {
			return true // nothing that is worth a warning is that sure
		}
		name, fits := strings.CutSuffix(name, after)
		at := len(name) - macDigits
		return fits && at >= 0 && strings.Trim(name[at:], "0123456789abcdef") == "" && mayBe(before, name[:at])
	}
	before, after, ok := strings.Cut(id, "{hostname}")
	longer := len(name) > len(before)+len(after)
	return id == name || ok && longer && strings.HasPrefix(name, before) && strings.HasSuffix(name, after)
}

// macDigits are the digits of {mac6}.
const macDigits = 6

func (c *checker) checkTLS(path string, t TLS) {
	if t.CertFile != "" && t.KeyFile == "" {
		c.bad(path+".cert_file", "needs key_file, the key of that certificate")
	}
	if t.KeyFile != "" && t.CertFile == "" {
		c.bad(path+".key_file", "needs cert_file, the certificate of that key")
	}
	c.readable(path+".ca_file", t.CAFile)
	c.readable(path+".cert_file", t.CertFile)
	c.readable(path+".key_file", t.KeyFile)
	guard(c, path+".key_file", t.KeyFile)
	for i, p := range t.ALPN {
		if p == "" || len(p) > 255 { // RFC 7301, 3.1
			c.bad(fmt.Sprintf("%s.alpn[%d]", path, i), "must have 1 to 255 bytes")
		}
	}
}

// readable looks at a file, when the caller wants files looked at.
func (c *checker) readable(path string, file FileName) {
	if file == "" || c.options.CheckFile == nil {
		return
	}
	if err := c.options.CheckFile(string(file)); err != nil {
		c.bad(path, "cannot be read: %s", err)
	}
}

// guard warns of a file with a secret in it that is open to others; one that is not there yet is not looked at.
func guard(c *checker, path string, file FileName) {
	if file == "" || c.options.Mode == nil {
		return
	}
	if mode, ok := c.options.Mode(string(file)); ok {
		c.exposed(c.where(path), secretfile.Open(string(file), mode))
	}
}

// checkOwnFile is guard for the document itself, where a secret stands in it.
func checkOwnFile(d *decoder, o ParseOptions) {
	if o.File == "" || o.Mode == nil || d.secretAt.path == "" {
		return
	}
	if mode, ok := o.Mode(o.File); ok {
		if why := secretfile.Open(o.File, mode); why != "" {
			d.exposed(d.secretAt, "stands in a file, and "+why)
		}
	}
}

func (c *checker) checkTimes(u *Uplink) {
	ceiling := u.KeepaliveCeiling
	if ceiling%second != 0 {
		c.bad("uplink.keepalive_ceiling", "must be whole seconds: CONNECT knows no parts of one")
	}
	if !u.Keepalive.Auto && u.Keepalive.Duration > ceiling {
		c.bad("uplink.keepalive", "is above uplink.keepalive_ceiling (%s)", ceiling)
	}
	if u.Backoff.Max < u.Backoff.Min {
		c.bad("uplink.backoff.max", "is below backoff.min (%s)", u.Backoff.Min)
	}
	if u.DetectWithin < 2*second {
		c.odd("uplink.detect_within", "is shorter than the pauses of a healthy mobile link: expect needless reconnects")
	}
}

func (c *checker) checkProxy(proxy ProxyURL) {
	scheme, rest, _ := strings.Cut(proxy.Reveal(), "://")
	if scheme != "http" && scheme != "socks5" || rest == "" {
		c.bad("uplink.proxy", "must start with http:// or socks5://, or be none")
	} else if u := brokerurl.URL(proxy); u.HoldsSecret() && !u.OnLoopback() {
		c.odd("uplink.proxy", "its login goes to the proxy in clear, as %s has it: whoever is between here and there reads it",
			scheme)
	}
}

// ownOf is the first path that the document sets itself, so that a conflict is shown where it was written.
func (c *checker) ownOf(paths ...string) string {
	for _, p := range paths {
		if c.set(p) {
			return p
		}
	}
	return paths[0]
}

func (c *checker) checkListen(listen string) {
	if listen == "" {
		return
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil || !validPort(port, 0) {
		c.bad("http.listen", `must be host:port, such as 127.0.0.1:8077, or "" for no page`)
		return
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		c.odd("http.listen", "is open to the network, and the page asks for no password: prefer 127.0.0.1:%s", port)
	}
}

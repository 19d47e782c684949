package brokerurl

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// What stands where a secret was, and in the place of what may be one as a whole.
const (
	hidden     = "<secret>"
	unreadable = "…"
)

// None as the URL of a proxy: there is none, whatever the environment says.
const None = "none"

// URL is the URL of a server or a proxy as a person wrote it. Its user part is a login, and its query may be a token, so no way
// of printing or marshalling it shows either; whatever cannot be read as a URL may be a secret in the wrong place, and is hidden
// as a whole. A test in build/arch finds whoever goes around it.
type URL string

// String is the URL for people, with a mark where something is hidden: wss://<secret>@host/mqtt?<secret>.
func (u URL) String() string { return u.shown(hidden+"@", "?"+hidden) }

// Name is the URL without user part, query and fragment, by which logs, statuses and what was learnt name a server. It stays the
// same when a token is changed. Of a URL with none of them it is the URL.
func (u URL) Name() string { return u.shown("", "") }

// GoString hides what String does.
func (u URL) GoString() string { return `"` + u.String() + `"` }

// MarshalText hides what String does, from JSON and YAML.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// Reveal is all of it, for what dials or judges it.
func (u URL) Reveal() string { return string(u) }

// Parse reads the URL. The error says nothing of it: that of net/url quotes the whole.
func (u URL) Parse() (*url.URL, error) {
	p, err := url.Parse(string(u))
	if err != nil {
		return nil, errors.New("not a URL")
	}
	return p, nil
}

// Host is the name or address in it, without a port; "" where there is none.
func (u URL) Host() string {
	p, err := u.Parse()
	if err != nil {
		return ""
	}
	return p.Hostname()
}

// HoldsSecret reports that there is a user part or a query, which may be a token.
func (u URL) HoldsSecret() bool {
	_, rest, _ := strings.Cut(string(u), "://")
	return strings.ContainsAny(rest, "@?")
}

// InClear reports that what is sent to it is readable on the way: it is of a scheme without TLS.
func (u URL) InClear() bool {
	s, known := Of(string(u))
	return known && !s.TLS
}

// OnLoopback reports that its host is this machine, so that nothing leaves it.
func (u URL) OnLoopback() bool { return Loopback(u.Host()) }

// Exposes reports that a login to it, or what it holds itself, can be read on the way.
func (u URL) Exposes(login bool) bool {
	return u.InClear() && !u.OnLoopback() && (login || u.HoldsSecret())
}

// Given is a URL as a person gives it at a shell, who may leave out the scheme: it is mqtt, or mqtts where the port is that of
// mqtts, or where files for TLS are named.
func Given(text string, tls bool) URL {
	if text == "" || strings.Contains(text, "://") {
		return URL(text)
	}
	authority, _, _ := strings.Cut(text, "/")
	secure, _ := Named("mqtts")
	if tls || strings.HasSuffix(authority, ":"+secure.Port) {
		return URL(secure.Name + "://" + text)
	}
	return URL("mqtt://" + text)
}

// Loopback reports that a host is this machine by its name or address: localhost, 127.0.0.0/8, ::1.
func Loopback(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// shown writes login in the place of a user part and query in that of a query or fragment. The authority ends at the first / ? or
// # (RFC 3986, section 3.2), and only in it there is a user part; of a path that holds an @ nothing is shown. Where that may be a
// password with one of these three in it, all is hidden.
func (u URL) shown(login, query string) string {
	if u == "" || u == None {
		return string(u)
	}
	scheme, rest, found := strings.Cut(string(u), "://")
	if scheme = strings.ToLower(scheme); !found || strings.IndexFunc(scheme, func(r rune) bool { return !isSchemeRune(r) }) >= 0 {
		return unreadable
	}
	tail := ""
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest, tail = rest[:end], rest[end:]
	}
	at := strings.LastIndex(rest, "@")
	path, more := tail, false
	if i := strings.IndexAny(tail, "?#"); i >= 0 {
		path, more = tail[:i], true
	}
	behind := ""
	if strings.Contains(path, "@") {
		path, behind = "", "/"+unreadable
	}
	p, err := url.Parse(scheme + "://" + rest[at+1:] + path)
	if err != nil || p.Hostname() == "" || strings.Contains(tail, "@") && !u.plain(rest[at+1:], tail) {
		if _, known := Meant(scheme); known || slices.Contains([]string{"http", "https", "socks5", "socks5h"}, scheme) {
			return scheme + "://" + unreadable
		}
		return unreadable // that may be the half of a password
	}
	text := p.String() + behind
	if at >= 0 {
		text = scheme + "://" + login + strings.TrimPrefix(text, scheme+"://")
	}
	if more {
		text += query
	}
	return text
}

// plain says that host is one and not a part of a login, of which tail would be the rest: what has no path or query of its own
// apart, it is a name with a dot in it, an address or this machine, or the @ stands in a value of a query.
func (u URL) plain(host, tail string) bool {
	s, _ := Of(string(u))
	host, _, _ = strings.Cut(host, ":")
	before, _, _ := strings.Cut(tail, "@")
	_, query, _ := strings.Cut(before, "?")
	return s.WebSocket && (strings.ContainsAny(host, ".[") || Loopback(host) ||
		strings.Contains(query, "=") && !strings.Contains(query, "#"))
}

// Rename is a text that ends with the URL of a server, as the name of a path does, with that server's Name instead. A text that
// ends otherwise stays as it is.
func Rename(text string) string {
	begins := -1
	for _, s := range schemes {
		i := strings.LastIndex(text, s.Name+"://")
		if i > begins && (i == 0 || text[i-1] == ' ') {
			begins = i
		}
	}
	if begins < 0 {
		return text
	}
	return text[:begins] + URL(text[begins:]).Name()
}

// Scrub hides what is secret in each URL of a server or proxy that stands somewhere in a text, such as a log.
func Scrub(text string) string {
	var out strings.Builder
	for {
		i := strings.Index(text, "://")
		if i < 0 {
			out.WriteString(text)
			return out.String()
		}
		begin := len(strings.TrimRightFunc(text[:i], isSchemeRune))
		end := i + len("://")
		if stop := strings.IndexFunc(text[end:], endsURL); stop >= 0 {
			end += stop
		} else {
			end = len(text)
		}
		found := URL(text[begin:end])
		out.WriteString(text[:begin])
		if found.HoldsSecret() {
			out.WriteString(found.String())
		} else {
			out.WriteString(string(found))
		}
		text = text[end:]
	}
}

func isSchemeRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '+' || r == '-' || r == '.'
}

// endsURL reports what no URL in a text goes on behind: white space, quotes, brackets of a markup.
func endsURL(r rune) bool { return r <= ' ' || strings.ContainsRune("\"'`<>\x7f", r) }

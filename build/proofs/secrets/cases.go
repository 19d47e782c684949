package secrets

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Secrets, each with the word in it.
const (
	password = word + "-pw"
	token    = word + "-token"
)

// site is what a configuration is written for.
type site struct {
	dir     string // for files
	clear   string // host:port of another machine without TLS
	local   string // host:port of this machine without TLS
	blocked string // host:port of another machine where nothing answers
}

// file writes one, and returns its name.
func (s site) file(name, text string, mode os.FileMode) string {
	name = filepath.Join(s.dir, name)
	_ = os.WriteFile(name, []byte(text), mode) // a missing file fails the case
	_ = os.Chmod(name, mode)
	return name
}

// trial is a configuration, and what is to come of it.
type trial struct {
	name  string
	doc   func(s site, d kit.Doc)
	env   []string
	asked bool   // insecure_login, or a document that ran before: on the path it is seen
	check int    // exit code of linkbeat check
	says  string // a part of `why` and of the log; empty: nothing of the kind
	named bool   // the user name is the secret, which the gateway itself shows
	mode  os.FileMode
	then  func(r *running) error // when it runs
}

// server is one of uplink.servers.
func server(url string, more ...any) map[string]any {
	m := map[string]any{"url": url}
	for i := 0; i+1 < len(more); i += 2 {
		m[more[i].(string)] = more[i+1]
	}
	return m
}

func servers(d kit.Doc, all ...any) kit.Doc { return d.Set("uplink.servers", all) }

// login sets the uplink's.
func login(d kit.Doc) kit.Doc { return d.Set("uplink.username", "gw").Set("uplink.password", password) }

const (
	saysClear    = "in clear"
	saysWithheld = "gets no login"
	saysChmod    = "chmod 06"
)

// cases are all configurations.
func cases() []trial {
	return append(append(onThePath(), misplaced()...), kept()...)
}

// onThePath are about what is sent.
func onThePath() []trial {
	return []trial{
		{name: "mqtts blocked, mqtt beside it, password_file", check: 1, says: saysWithheld, doc: func(s site, d kit.Doc) {
			servers(d, server("mqtts://"+s.blocked), server("mqtt://"+s.clear)).Set("uplink.username", "gw").
				Set("uplink.password_file", s.file("p", password+"\n", 0o600))
		}},
		{name: "mqtts blocked, mqtt beside it, password", check: 1, says: saysWithheld, doc: func(s site, d kit.Doc) {
			login(servers(d, server("mqtts://"+s.blocked), server("mqtt://"+s.clear)))
		}},
		{name: "mqtts blocked, ws beside it", check: 1, says: saysWithheld, doc: func(s site, d kit.Doc) {
			login(servers(d, server("mqtts://"+s.blocked), server("ws://"+s.clear+"/mqtt")))
		}},
		{name: "mqtt first, wss behind it", check: 1, says: saysWithheld, doc: func(s site, d kit.Doc) {
			login(servers(d, server("mqtt://"+s.clear), server("wss://"+s.blocked+"/mqtt")))
		}},
		{name: "a login of the server in clear, mqtts beside it", check: 1, says: saysWithheld, doc: func(s site, d kit.Doc) {
			servers(d, server("mqtts://"+s.blocked), server("mqtt://"+s.clear, "username", "gw", "password", password))
		}},
		{name: "the environment's password, mqtts beside it", check: 1, says: saysWithheld, doc: func(s site, d kit.Doc) {
			servers(d, server("mqtts://"+s.blocked), server("mqtt://"+s.clear)).Set("uplink.username", "gw")
		}, env: []string{"LINKBEAT_UPLINK_PASSWORD=" + password}},
		{name: "the user name is the token, mqtts beside it", named: true, check: 1, says: saysWithheld,
			doc: func(s site, d kit.Doc) {
				servers(d, server("mqtts://"+s.blocked), server("mqtt://"+s.clear)).Set("uplink.username", token)
			}},
		{name: "wss?token blocked, ws?token beside it", check: 1, says: saysWithheld, doc: func(s site, d kit.Doc) {
			servers(d, server("wss://"+s.blocked+"/mqtt?token="+token), server("ws://"+s.clear+"/mqtt?token="+token))
		}},
		{name: "a login for the mqtts server only", doc: func(s site, d kit.Doc) {
			servers(d, server("mqtts://"+s.blocked, "username", "gw", "password", password), server("mqtt://"+s.clear))
		}},
		{name: "wss?token, and mqtt without a login", doc: func(s site, d kit.Doc) {
			servers(d, server("wss://"+s.blocked+"/mqtt?token="+token), server("mqtt://"+s.clear))
		}},
		{name: "mqtts, and mqtt with insecure_login", asked: true, doc: func(s site, d kit.Doc) {
			login(servers(d, server("mqtts://"+s.blocked), server("mqtt://"+s.clear, "insecure_login", true)))
		}},
		{name: "mqtt alone, as it ran before", asked: true, check: 1, says: saysClear, doc: func(s site, d kit.Doc) {
			login(servers(d, server("mqtt://"+s.clear)))
		}},
		{name: "ws?token alone, as it ran before", asked: true, check: 1, says: saysClear, doc: func(s site, d kit.Doc) {
			servers(d, server("ws://"+s.clear+"/mqtt?token="+token))
		}},
		{name: "mqtt on loopback", doc: func(s site, d kit.Doc) { login(servers(d, server("mqtt://"+s.local))) }},
		{name: "ws?token on loopback", doc: func(s site, d kit.Doc) { servers(d, server("ws://"+s.local+"/mqtt?token="+token)) }},
		{name: "through a proxy, mqtts beside mqtt", check: 1, says: saysWithheld, doc: func(s site, d kit.Doc) {
			login(servers(d, server("mqtts://broker.invalid"), server("mqtt://broker.invalid"))).
				Set("uplink.proxy", "http://"+s.clear)
		}},
		{name: "through a proxy to its loopback, as it ran before", asked: true, check: 1, says: saysClear,
			doc: func(s site, d kit.Doc) {
				login(servers(d, server("mqtt://127.0.0.1:1883"))).Set("uplink.proxy", "http://"+s.clear)
			}},
		{name: "a reload adds a login in clear", doc: func(s site, d kit.Doc) { servers(d, server("mqtt://"+s.clear)) },
			then: func(r *running) error { return r.reload(login(r.doc), "not reloaded") }},
	}
}

// misplaced are about secrets where they do not belong.
func misplaced() []trial {
	typed := func(name, key, value string) trial {
		return trial{name: name, check: 1, doc: func(s site, d kit.Doc) {
			servers(d, server("mqtts://"+s.clear), server("mqtt://"+s.local)).Set("uplink.username", "gw").Set(key, value)
		}}
	}
	own := typed("a key in key_file and cert_file", "uplink.tls.key_file", token)
	files := own.doc
	own.doc = func(s site, d kit.Doc) { files(s, d); d.Set("uplink.tls.cert_file", token) }
	sh := []string{"sh", "-c", "echo $1 >&2; exit 3", "x", token}
	return []trial{
		typed("a password in password_file", "uplink.password_file", password),
		typed("a password with a slash in password_file", "uplink.password_file", "/"+password),
		typed("a certificate in ca_file", "uplink.tls.ca_file", "-----BEGIN CERTIFICATE-----\n"+token),
		own,
		{name: "a login in the user part", check: 1, doc: func(s site, d kit.Doc) {
			servers(d, server("mqtts://gw:"+password+"@"+s.blocked), server("mqtt://"+s.clear))
		}},
		{name: "hooks with a token that fail and repeat it", doc: func(s site, d kit.Doc) {
			servers(d, server("mqtt://"+s.clear)).Set("hooks", map[string]any{"up": sh, "down": sh}).Set("log.level", "debug")
		}},
		{name: "a fact with a token that fails", doc: func(s site, d kit.Doc) {
			servers(d, server("mqtt://"+s.clear)).Set("device.facts.modem", map[string]any{"command": sh})
		}},
		{name: "path_hint with a token that fails", doc: func(s site, d kit.Doc) {
			servers(d, server("mqtt://"+s.clear)).Set("uplink.path_hint", map[string]any{"command": sh})
		}},
		{name: "a reload changes the token of a hook", doc: func(s site, d kit.Doc) {
			servers(d, server("mqtt://"+s.clear)).Set("hooks.up", []string{"true", "--token=" + token})
		}, then: func(r *running) error {
			return r.reload(r.doc.Set("hooks.up", []string{"true", "--token=other-" + token}), "")
		}},
		{name: "hooks are told of a server with a token", doc: func(s site, d kit.Doc) {
			env := []string{"sh", "-c", "env >>" + filepath.Join(s.dir, "told")}
			servers(d, server("ws://"+s.local+"/mqtt?token="+token), server("mqtt://"+s.clear)).
				Set("hooks", map[string]any{"up": env})
		}},
		{name: "a login of the proxy", doc: func(s site, d kit.Doc) {
			servers(d, server("mqtts://"+s.blocked)).Set("uplink.proxy", "socks5://gw:"+password+"@"+s.blocked)
		}},
		{name: "a login of the environment's proxy",
			doc: func(_ site, d kit.Doc) { servers(d, server("mqtts://broker.invalid")) },
			env: []string{"ALL_PROXY=gw:" + password + "@" + elsewhere, "HTTPS_PROXY=", "HTTP_PROXY="}},
	}
}

// kept are about files.
func kept() []trial {
	return []trial{
		{name: "a password file for all", says: saysChmod, doc: func(s site, d kit.Doc) {
			servers(d, server("mqtts://"+s.blocked)).Set("uplink.username", "gw").
				Set("uplink.password_file", s.file("p", password+"\n", 0o644))
		}},
		{name: "a password file for a group", doc: func(s site, d kit.Doc) {
			servers(d, server("mqtts://"+s.blocked)).Set("uplink.username", "gw").
				Set("uplink.password_file", s.file("p", password+"\n", 0o640))
		}},
		{name: "a configuration for all", says: saysChmod, mode: 0o644, doc: func(s site, d kit.Doc) {
			login(servers(d, server("mqtts://"+s.blocked)))
		}},
		{name: "paths.json of an earlier version", doc: func(s site, d kit.Doc) {
			servers(d, server("ws://"+s.local+"/mqtt?token=new-"+token))
			state := filepath.Join(s.dir, "state")
			_ = os.MkdirAll(state, 0o700)
			s.file("state/paths.json", fmt.Sprintf(`{"layout":1,"budget":{},"paths":{"lo ws://%s/mqtt?token=old-%s":`+
				`{"proven_s":60,"kind":"loose","at":%d}}}`, s.local, token, 4102444800000), 0o600)
		}, then: func(r *running) error { return r.renamed() }},
		{name: "the last good document, as it ran before", asked: true, says: saysClear, doc: func(s site, d kit.Doc) {
			login(servers(d, server("mqtt://"+s.clear)))
		}, check: 1, then: func(r *running) error { return r.fallsBack() }},
	}
}

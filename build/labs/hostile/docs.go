package hostile

import (
	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// secretDoc is one configuration with something secret in it.
type secretDoc struct {
	name string
	doc  func(p *place, d kit.Doc, word string)
	env  func(word string) []string
	good string // the server that must be told the word, if any
	loud bool   // the document is none that starts, or its servers are none: only what is said of it is judged
	args bool   // the word is a program's argument, which `check -v` shows to whoever may read the document, as its help says
}

func servers(d kit.Doc, urls ...string) kit.Doc {
	list := make([]any, len(urls))
	for i, u := range urls {
		list[i] = map[string]any{"url": u}
	}
	return d.Set("uplink.servers", list)
}

func login(d kit.Doc, word string) kit.Doc {
	return d.Set("uplink.username", "gw").Set("uplink.password", word)
}

func goodURL(p *place) string { return "mqtts://" + p.good }

func evilURL(p *place) string { return "mqtts://" + p.evil }

func closedURL(p *place) string { return "mqtts://" + p.closed }

func clearURL(p *place) string { return "mqtt://" + p.clear }

func webURL(p *place) string { return "ws://" + p.web }

// two servers with one login.
func two(first, second func(*place) string) func(*place, kit.Doc, string) {
	return func(p *place, d kit.Doc, w string) { login(servers(d, first(p), second(p)), w) }
}

// in puts the word where it does not belong.
func in(key string) func(*place, kit.Doc, string) {
	return func(p *place, d kit.Doc, w string) { servers(d, goodURL(p)).Set(key, w) }
}

// program has the word among a program's arguments.
func program(key string) func(*place, kit.Doc, string) {
	return func(p *place, d kit.Doc, w string) {
		argv := []any{"/bin/sh", "-c", "exit 3", w}
		if key != "hooks.up" && key != "hooks.down" {
			servers(d, goodURL(p)).Set(key, map[string]any{"command": argv, "every": "1h"})
			return
		}
		servers(d, goodURL(p)).Set(key, argv)
	}
}

// secretDocs are the configurations, the ones of the short form first.
func secretDocs() []secretDoc {
	return append(append(shortDocs(), serverDocs()...), elsewhereDocs()...)
}

// shortDocs are one of each kind.
func shortDocs() []secretDoc {
	return []secretDoc{
		{name: "mqtts, then mqtt, and mqtts is blocked", doc: two(closedURL, clearURL)},
		{name: "mqtts with nobody's certificate, then mqtt", doc: two(evilURL, clearURL)},
		{name: "mqtts alone", doc: func(p *place, d kit.Doc, w string) { login(servers(d, goodURL(p)), w) }, good: "good"},
		{name: "a token in the query", doc: func(p *place, d kit.Doc, w string) {
			servers(d, "wss://"+p.goodWS+"/mqtt?token="+w)
		}, good: "goodWS"},
		{name: "a hook's argument", doc: program("hooks.up"), args: true},
		{name: "a secret where password_file belongs", doc: in("uplink.password_file"), loud: true},
	}
}

// serverDocs have a login, or a token, and servers of which not all are to be told.
func serverDocs() []secretDoc {
	return []secretDoc{
		{name: "mqtts with nobody's certificate", doc: func(p *place, d kit.Doc, w string) { login(servers(d, evilURL(p)), w) }},
		{name: "mqtts, then mqtt", doc: two(goodURL, clearURL), good: "good"},
		{name: "mqtt, then mqtts", doc: two(clearURL, goodURL)},
		{name: "mqtts, then ws", doc: two(goodURL, webURL), good: "good"},
		{name: "ws, then mqtts", doc: two(webURL, goodURL)},
		{name: "mqtts is blocked, then ws", doc: two(closedURL, webURL)},
		{name: "mqtts with nobody's certificate, then ws", doc: two(evilURL, webURL)},
		{name: "mqtts and mqtt of one rank", doc: func(p *place, d kit.Doc, w string) {
			login(d.Set("uplink.servers", []any{map[string]any{"url": closedURL(p), "rank": 1}, map[string]any{"url": clearURL(p),
				"rank": 1}}), w)
		}},
		{name: "the login of a server in clear, beside mqtts", doc: func(p *place, d kit.Doc, w string) {
			d.Set("uplink.servers", []any{map[string]any{"url": closedURL(p)},
				map[string]any{"url": clearURL(p), "username": "gw", "password": w}})
		}},
		{name: "the login of an mqtts server, beside mqtt", doc: func(p *place, d kit.Doc, w string) {
			d.Set("uplink.servers", []any{map[string]any{"url": closedURL(p), "username": "gw", "password": w},
				map[string]any{"url": clearURL(p)}})
		}},
		{name: "three servers, the last in clear", doc: func(p *place, d kit.Doc, w string) {
			login(servers(d, closedURL(p), evilURL(p), clearURL(p)), w)
		}},
		{name: "password_file", doc: func(p *place, d kit.Doc, w string) {
			login(servers(d, closedURL(p), clearURL(p)), "").Set("uplink.password", "").Set("uplink.password_file", p.fileWith(w))
		}},
		{name: "password_file, mqtts alone", doc: func(p *place, d kit.Doc, w string) {
			servers(d, goodURL(p)).Set("uplink.username", "gw").Set("uplink.password_file", p.fileWith(w))
		}, good: "good"},
		{name: "a password from the environment", env: func(w string) []string {
			return []string{"LINKBEAT_UPLINK_PASSWORD=" +
				w}
		},
			doc: func(p *place, d kit.Doc, _ string) { servers(d, goodURL(p)).Set("uplink.username", "gw") }, good: "good"},
		{name: "a password by ${NAME}", env: func(w string) []string { return []string{"PW=" + w} },
			doc: func(p *place, d kit.Doc, _ string) { login(servers(d, goodURL(p)), "${PW}") }, good: "good"},
		{name: "a login in the URL", loud: true, doc: func(p *place, d kit.Doc, w string) {
			servers(d,
				"mqtts://gw:"+w+"@"+p.good)
		}},
		{name: "a token in the query, and the server is away", doc: func(p *place, d kit.Doc, w string) {
			servers(d, "wss://"+p.closed+"/mqtt?token="+w)
		}},
		{name: "a token in the query, nobody's certificate", doc: func(p *place, d kit.Doc, w string) {
			servers(d, "wss://"+p.evil+"/mqtt?token="+w)
		}},
	}
}

// elsewhereDocs have something secret in other places.
func elsewhereDocs() []secretDoc {
	return []secretDoc{
		{name: "a token in the path's query of mqtts", loud: true, doc: func(p *place, d kit.Doc, w string) {
			servers(d, "mqtts://"+p.good+"/?token="+w)
		}},
		{name: "a proxy's login", doc: func(p *place, d kit.Doc, w string) {
			servers(d, goodURL(p)).Set("uplink.proxy", "http://user:"+w+"@"+p.closed)
		}},
		{name: "a SOCKS proxy's login", doc: func(p *place, d kit.Doc, w string) {
			servers(d, goodURL(p)).Set("uplink.proxy", "socks5://user:"+w+"@"+p.closed)
		}},
		{name: "a fact's argument", doc: program("device.facts.modem"), args: true},
		{name: "an argument of path_hint", doc: program("uplink.path_hint"), args: true},
		{name: "a secret where key_file belongs", doc: in("uplink.tls.key_file"), loud: true},
		{name: "a secret where ca_file belongs", doc: in("uplink.tls.ca_file"), loud: true},
		{name: "what is typed at the device", doc: func(p *place, d kit.Doc, w string) { servers(d, goodURL(p)) }, loud: true},
	}
}

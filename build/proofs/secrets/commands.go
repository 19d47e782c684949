package secrets

import (
	"net"
	"strings"
)

// order is a command line, and what is to come of it.
type order struct {
	name string
	argv func(w *world, s site) []string
	env  []string
	code int    // -1: any
	says string // a part of what it says

	seen bool // it asked for it
}

// commands are those of a person at a shell.
func commands() []order {
	ctl := func(args ...string) func(*world, site) []string {
		return func(w *world, s site) []string {
			argv := []string{w.controller, "devices"}
			for _, a := range args {
				argv = append(argv, strings.NewReplacer("CLEAR", s.clear, "LOCAL", s.local, "DIR", s.dir).Replace(a))
			}
			return argv
		}
	}
	pw := []string{"LINKBEATCTL_PASSWORD=" + password}
	const usage, unreachable = 64, 3
	return []order{
		{name: "linkbeatctl -s host", argv: ctl("-s", "CLEAR", "-u", "gw"), env: pw, code: usage, says: "--insecure"},
		{name: "linkbeatctl -s ws://", argv: ctl("-s", "ws://CLEAR/mqtt", "-u", "gw"), env: pw, code: usage, says: "wss://"},
		{name: "linkbeatctl -s mqtt://user:password@", argv: ctl("-s", "mqtt://gw:"+password+"@CLEAR"), code: usage,
			says: "--insecure"},
		{name: "linkbeatctl -s ws://?token", argv: ctl("-s", "ws://CLEAR/mqtt?"+token), code: usage, says: "--insecure"},
		{name: "LINKBEATCTL_SERVER", argv: ctl(), code: usage,
			env: append([]string{"LINKBEATCTL_SERVER=CLEAR", "LINKBEATCTL_USER=gw"}, pw...)},
		{name: "linkbeatctl --ca means mqtts", argv: ctl("-s", "CLEAR", "-u", "gw", "--ca", "DIR/ca"), env: pw,
			code: unreachable},
		{name: "linkbeatctl --ca with a key in it", argv: ctl("-s", "CLEAR", "--ca", "-----BEGIN "+token), code: unreachable,
			says: "ca_file"},
		{name: "linkbeatctl --password-file with a password", argv: ctl("-s", "LOCAL", "-u", "gw", "--password-file", password),
			code: unreachable,
			says: "--password-file"},
		{name: "linkbeatctl --insecure", argv: ctl("-s", "CLEAR", "-u", "gw", "--insecure"), env: pw, code: -1, seen: true},
		{name: "linkbeat probe mqtt://", code: usage, says: "--insecure", argv: func(w *world, s site) []string {
			file := s.file("p", password, 0o600)
			return []string{w.agent, "probe", "mqtt://" + s.clear, "--user", "gw", "--password-file", file}
		}},
		{name: "linkbeat probe mqtt://user:password@", code: usage, says: "--insecure", argv: func(w *world, s site) []string {
			return []string{w.agent, "probe", "mqtt://gw:" + password + "@" + s.clear}
		}},
	}
}

// tryCommand runs one and looks.
func (w *world) tryCommand(c order, s *seen) error {
	dir, err := w.e.Sub("site")
	if err != nil {
		return err
	}
	clear, err := w.listen(elsewhere)
	if err != nil {
		return err
	}
	local, err := w.listen("127.0.0.1")
	if err != nil {
		return err
	}
	at := site{dir: dir, clear: clear.addr, local: local.addr, blocked: net.JoinHostPort(elsewhere, "9")}
	at.file("ca", "no certificate", 0o600)
	var env []string
	for _, e := range c.env {
		env = append(env, strings.ReplaceAll(e, "CLEAR", at.clear))
	}
	said, code := w.run("command", env, c.argv(w, at)...)
	if c.code >= 0 && code != c.code || !strings.Contains(said, c.says) {
		s.note(&s.wrong, "%s: ends with %d, wanted %d, and says %s", c.name, code, c.code, said)
	}
	if holds(said) {
		s.note(&s.local, "%s: says %s", c.name, said)
	}
	got, _ := clear.got()
	if holds(got) != c.seen {
		s.note(&s.path, "%s: seen on the path is %v, wanted %v: %q", c.name, holds(got), c.seen, got)
	}
	return nil
}

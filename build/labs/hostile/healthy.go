package hostile

import (
	"bytes"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// sentences are all that this laboratory looks for in why, logs, check and diag as the proof that something was said. In a
// healthy run none of them may stand anywhere: a sentence that always stands there proves nothing.
func sentences() (all []string) {
	all = []string{"insecure_login", "in clear", "connections are taken", "config_error", "is in the way", "damaged",
		"could not be",
		"cannot be", "command refused", "expired", "unreadable", "lost", "no space", "read-only", "journal"}
	for _, f := range stateFiles() {
		if f.says != "" {
			all = append(all, f.says)
		}
	}
	return all
}

// healthy runs a gateway on which nothing is wrong: frames, a reload, a stop, a second life; and asks check and diag.
func (l lab) healthy() error {
	s, err := l.Site(kit.SiteOptions{ID: "gw-healthy", Devices: []string{"meter"}, Argv: []string{l.agent}, Doc: func(d kit.Doc) {
		d.Set("spool.write_after", "0s").Set("spool.sync", "always")
	}})
	if err != nil {
		return err
	}
	said := map[string][]byte{}
	for life := range 2 {
		if err := s.Agent.StartUp(); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(s.Ttys["meter"], "frame\n"); err != nil {
			return err
		}
		if err := s.Agent.Reload(); err != nil {
			return err
		}
		l.Sleep(time.Second)
		st, err := s.Agent.Status()
		if err != nil {
			return err
		}
		said["why"] = append(said["why"], st.Why...)
		if life == 1 {
			for name, argv := range map[string][]string{"check": {"check"}, "check --online": {"check", "--online"},
				"diag": {"diag"}} {
				if said[name], err = l.onTerminal(20*time.Second, append(append([]string{l.agent}, argv...), "-c",
					s.Agent.ConfigPath)...); err != nil {
					return err
				}
			}
		}
		if err := s.Agent.Term(); err != nil {
			return err
		}
	}
	if said["log"], err = os.ReadFile(s.Agent.Proc().LogPath); err != nil {
		return err
	}
	var found []string
	for edge, text := range said {
		for _, x := range sentences() {
			if at := bytes.Index(text, []byte(x)); at >= 0 {
				found = append(found, fmt.Sprintf("%s: %q in …%s…", edge, x, text[max(0, at-60):min(len(text), at+60)]))
			}
		}
		if edge != "why" && len(text) == 0 {
			found = append(found, edge+" is empty: nothing was looked at")
		}
	}
	sort.Strings(found)
	l.t.Exactly(fmt.Sprintf("a healthy run: of %d sentences that are looked for elsewhere, in why, log, check, diag",
		len(sentences())),
		len(found), 0, "", strings.Join(found, "\n"))
	l.t.Exactly("a healthy run: characters of why", len(said["why"]), 0, "", string(said["why"]))
	return nil
}

// hostileServers are those whose words never end.
func hostileServers() map[string]serverOf {
	return map[string]serverOf{"endless headers, ws": overWS(nil, endlessHeaders), "one endless line, ws": overWS(nil,
		endlessLine),
		"endless headers, wss": overWSS(endlessHeaders), "endless TLS handshake": overTLS(endlessHandshake),
		"certificates of 250 KiB": overTLS(hugeChain), "bytes that are no MQTT": overTCP(noMQTT),
		"a CONNACK of 256 MB": overTCP(hugeConnAck)}
}

// everyDialler puts each command that dials before each of these servers, and watches its memory and that it ends.
func (l lab) everyDialler() error {
	certs, err := l.Certs()
	if err != nil {
		return err
	}
	broker, err := l.Broker(kit.BrokerOptions{WS: true})
	if err != nil {
		return err
	}
	var jobs []func() error
	for name, server := range hostileServers() {
		url, err := server(l.Env, front{broker, certs}, &atomic.Bool{})
		if err != nil {
			return err
		}
		doc := kit.NewDoc("gw-dials", url).Set("uplink.tls.ca_file", certs.CA)
		if !strings.Contains(url, "s://") || strings.HasPrefix(url, "ws://") {
			doc = kit.NewDoc("gw-dials", url)
		}
		a, err := l.Agent(kit.AgentOptions{Argv: []string{l.agent}, Doc: doc})
		if err != nil {
			return err
		}
		for _, words := range []string{"probe -c FILE --min 1s --max 1s", "diag -c FILE", "check --online -c FILE"} {
			argv := append([]string{l.agent}, strings.Fields(strings.ReplaceAll(words, "FILE", a.ConfigPath))...)
			jobs = append(jobs, func() error { return l.dials("linkbeat "+strings.Fields(words)[0], name, agentMost, argv) })
		}
		for _, words := range []string{"devices", "tail", "send gw meter x", "request gw meter x", "tap gw meter",
			"console gw meter"} {
			argv := append([]string{l.ctl}, append(strings.Fields(words), "--server", url)...)
			if strings.Contains(url, "mqtts:") || strings.Contains(url, "wss:") {
				argv = append(argv, "--ca", certs.CA)
			}
			jobs = append(jobs, func() error { return l.dials("linkbeatctl "+strings.Fields(words)[0], name, ctlMost, argv) })
		}
	}
	return kit.SideBySide(8, jobs)
}

// programLeast is what a program of ours has resident once it runs, in MiB: less was seen while it began.
const programLeast = 7.0

// dials runs one of them; one that is still there after a while is interrupted as a person would do.
func (l lab) dials(what, server string, most float64, argv []string) error {
	p, err := l.StartProc(strings.NewReplacer(" ", "-", ",", "").Replace(what+"-"+server), "", nil, argv...)
	if err != nil {
		return err
	}
	used := watch(l.Env, p, 6*time.Second)
	if p.Running() {
		_ = p.Signal(syscall.SIGINT)
	}
	_, err = p.Exit(10 * time.Second)
	if used < programLeast { // it was over before anybody looked: what its end says is an upper bound
		used = float64(p.MaxRSS()) / (1 << 20)
	}
	l.t.AtMost(what+", "+server+": peak memory", used, most, "MiB")
	l.t.Check(what+", "+server+": ends", err)
	return nil
}

package hostile

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// onTerminal runs a program with a pseudo-terminal of 200 columns as its output and returns what a terminal would have got. After
// lasts it is interrupted as a person would do.
func (l lab) onTerminal(lasts time.Duration, argv ...string) ([]byte, error) {
	tty, err := l.Pty(fmt.Sprint("screen-", time.Now().UnixNano()))
	if err != nil {
		return nil, err
	}
	defer tty.Unplug()
	slave, err := os.OpenFile(tty.Port, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer slave.Close()
	cmd := exec.CommandContext(l.Ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	timer := time.AfterFunc(lasts, func() { _ = cmd.Process.Signal(syscall.SIGINT) })
	kill := time.AfterFunc(lasts+15*time.Second, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait() // its exit code is of no interest here
	timer.Stop()
	kill.Stop()
	const end = "end of the screen" // comes behind the last bytes through the pty
	if _, err := slave.WriteString(end); err != nil {
		return nil, err
	}
	if err := l.Until(end, 10*time.Second, func() bool { return bytes.HasSuffix(tty.Received(), []byte(end)) }); err != nil {
		return nil, err
	}
	screen := bytes.TrimSuffix(tty.Received(), []byte(end))
	return bytes.ReplaceAll(screen, []byte("\r\n"), []byte("\n")), nil
}

// edge is one output of a program, once a stranger has written where it comes from.
type edge struct {
	name   string
	output []byte
	err    error
	own    string // control characters that the edge writes itself
}

const textOwn = "\n\t"

// edges collects every output and looks for what came through.
func (l lab) edges() error {
	broker, err := l.Broker(kit.BrokerOptions{})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var all []edge
	var jobs []func() error
	for _, group := range []func(*kit.Broker) ([]edge, error){l.operatorEdges, l.replyEdges, l.refusalEdges, l.gatewayEdges,
		l.portEdges} {
		jobs = append(jobs, func() error {
			some, err := group(broker)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, some...)
			return err
		})
	}
	if err := kit.SideBySide(len(jobs), jobs); err != nil {
		return err
	}
	count, first := 0, ""
	var mute []string
	for _, e := range all {
		if e.err != nil {
			l.t.Check(e.name+": ran", e.err)
			continue
		}
		through := passed(e.output, e.own)
		if err := e.shows(); err != nil {
			mute = append(mute, err.Error())
		}
		if len(through) > 0 {
			l.t.Exactly(e.name+": control characters that pass", len(through), 0, "", strings.Join(through, " "))
			if first == "" {
				first = e.name
			}
		}
		count += len(through)
	}
	l.t.Exactly(fmt.Sprintf("%d edges, %d control characters each: passed", len(all), len(controls())), count, 0, "", first)
	l.t.Exactly("edges that do not show what the stranger wrote, as something harmless, and have no reason", len(mute), 0,
		fmt.Sprint("of ", len(all)), strings.Join(mute, "\n"))
	return l.everyCommand(all)
}

// gatewayEdges are the agent's: its log in both forms, its page, and the commands that a person gives on the gateway.
func (l lab) gatewayEdges(b *kit.Broker) (all []edge, err error) {
	urls, err := l.strange()
	if err != nil {
		return nil, err
	}
	var quiet atomic.Bool
	m, err := between(l.Env, b.Host(), nil)
	if err != nil {
		return nil, err
	}
	m.say = func(write func([]byte) bool, _ <-chan struct{}) {
		h := quoted(hostileText())
		for i := 0; i < 5 && !quiet.Load(); i++ {
			write(publish("lb/gw/dn/cmd/"+hostileText()+"/write", fmt.Appendf(nil, `{"id":%s,"expires":%d}`, h, soon()), false,
				0))
			write(publish("lb/gw/dn/cmd/meter/write", fmt.Appendf(nil, `{"id":%s,"expires":%d,"text":"x"}`, h, soon()), false, 0))
			write(publish("lb/gw/dn/cmd/meter/write", []byte(hostileBytes()), false, 0))
			write(publish("lb/gw/dn/cmd/meter/console", fmt.Appendf(nil, `{"id":%s,"seq":1,"op":"open","who":%s,"expires":%d}`,
				h, h,
				soon()), false, 0))
			write(publish("lb/gw/dn/"+hostileText(), []byte("x"), false, 0))
		}
	}
	urls["commands"] = "mqtt://" + m.Addr
	var mu sync.Mutex
	var jobs []func() error
	for _, name := range l.strangers() {
		jobs = append(jobs, func() error {
			some, err := l.gatewayEdge(name, urls[name])
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, some...)
			return nil
		})
	}
	return all, kit.SideBySide(3, jobs)
}

// strangers are those that the agent meets; two of them in the short form.
func (l lab) strangers() []string {
	all := []string{"certificate", "commands", "status line", "CONNACK", "bytes"}
	if l.o.Full {
		return all
	}
	return all[:2]
}

func (l lab) gatewayEdge(name, url string) (all []edge, err error) {
	fact := filepath.Join(l.Dir, "fact-"+strings.ReplaceAll(name, " ", "-")+".sh")
	if err := os.WriteFile(fact, []byte("#!/bin/sh\nprintf '%s' '"+strings.ReplaceAll(hostileBytes(), "'", "")+"'\n"),
		0o700); err != nil {
		return nil, err
	}
	tty, err := l.Pty("edge-" + strings.ReplaceAll(name, " ", "-"))
	if err != nil {
		return nil, err
	}
	doc := kit.NewDoc("gw", url).Line("meter", tty.Port).
		Set("device.facts.modem", map[string]any{"command": []any{fact}, "every": "1h"}).
		Set("uplink.path_hint", map[string]any{"command": []any{fact}, "every": "1h"}).
		Set("hooks.down", []any{fact}).Set("hooks.up", []any{fact}).Set("log.level", "debug")
	meter := doc["serial"].(map[string]any)["meter"].(map[string]any)
	meter["commands"], meter["console"] = true, true
	a, err := l.Agent(kit.AgentOptions{Argv: []string{l.agent}, Doc: doc})
	if err != nil {
		return nil, err
	}
	if err := a.Start(); err != nil {
		return nil, err
	}
	if _, err := tty.Write([]byte(hostileBytes() + "\n")); err != nil {
		return nil, err
	}
	l.Sleep(2 * time.Second) // what the stranger says, and what facts and hooks print
	if err := l.Until("the stranger's words in /status", 10*time.Second, func() bool {
		page, err := get("http://" + a.HTTP + "/status")
		return err == nil && bytes.Contains(page, []byte(sentence))
	}); err != nil {
		return nil, err
	}
	add := func(what string, out []byte, err error, own string) {
		all = append(all, edge{"linkbeat " + what + ", " + name, out, err, own})
	}
	page, err := get("http://" + a.HTTP + "/status")
	add("/status", page, err, "\n")
	page, err = get("http://" + a.HTTP + "/metrics")
	add("/metrics", page, err, "\n")
	bundle := filepath.Join(a.Dir, "b.tar.gz")
	for _, argv := range [][]string{{"status"}, {"status", "--json"}, {"diag"}, {"diag", "--json"}, {"diag", "--bundle", bundle},
		{"check", "--online"}} {
		out, err := l.onTerminal(6*time.Second, append(append([]string{l.agent}, argv...), "-c", a.ConfigPath)...)
		add(strings.Replace(strings.Join(argv, " "), bundle, "", 1), out, err, textOwn)
	}
	packed, err := unpacked(bundle)
	add("the bundle", packed, err, textOwn)
	log, err := os.ReadFile(a.Proc().LogPath)
	add("run, the log", log, err, "\n")
	local, err := l.localEdges(a, tty, name)
	if err != nil {
		return nil, err
	}
	all = append(all, local...)
	a.Kill()
	out, err := l.onTerminal(1500*time.Millisecond, l.agent, "run", "-c", a.ConfigPath)
	add("run on a terminal", uncoloured(out), err, textOwn)
	return all, nil
}

// uncoloured leaves out the colours that a log on a terminal may have: ESC [ digits m, nothing else.
func uncoloured(b []byte) []byte {
	var out []byte
	for i := 0; i < len(b); i++ {
		if b[i] == 0x1b && i+1 < len(b) && b[i+1] == '[' {
			j := i + 2
			for j < len(b) && (b[j] >= '0' && b[j] <= '9' || b[j] == ';') {
				j++
			}
			if j < len(b) && b[j] == 'm' && !bytes.HasPrefix(b[j:], []byte("m:")) {
				i = j
				continue
			}
		}
		out = append(out, b[i])
	}
	return out
}

func get(url string) ([]byte, error) {
	c := http.Client{Timeout: 5 * time.Second}
	r, err := c.Get(url)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	return io.ReadAll(io.LimitReader(r.Body, 1<<20))
}

// unpacked is all that a bundle holds, names too.
func unpacked(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var all bytes.Buffer
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return all.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
		fmt.Fprintln(&all, h.Name)
		if _, err := io.Copy(&all, io.LimitReader(t, 4<<20)); err != nil {
			return nil, err
		}
		fmt.Fprintln(&all)
	}
}

// portEdges are the list of ports: descriptors of USB, and the names of programs that hold a port.
func (l lab) portEdges(*kit.Broker) ([]edge, error) {
	sys, err := l.Sub("sys")
	if err != nil {
		return nil, err
	}
	usb := "devices/pci0000:00/0000:00:14.0/usb1/1-1"
	tty := usb + "/1-1:1.0/ttyUSB0/tty/ttyUSB0"
	for _, dir := range []string{tty, "class/tty"} {
		if err := os.MkdirAll(filepath.Join(sys, dir), 0o755); err != nil {
			return nil, err
		}
	}
	name := strings.NewReplacer("\n", "").Replace(hostileBytes())
	for file, text := range map[string]string{"idVendor": "0403", "idProduct": "6001", "serial": name, "manufacturer": name,
		"product": name, "1-1:1.0/bInterfaceNumber": "00"} {
		if err := os.WriteFile(filepath.Join(sys, usb, file), []byte(text+"\n"), 0o644); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(os.Symlink("../../../ttyUSB0", filepath.Join(sys, tty, "device")),
		os.Symlink("../../"+tty, filepath.Join(sys, "class/tty/ttyUSB0"))); err != nil {
		return nil, err
	}
	var all []edge
	for _, argv := range [][]string{{"ports"}, {"ports", "--json"}} {
		out, err := l.onTerminal(5*time.Second, append(append([]string{l.agent}, argv...), "--sys", sys)...)
		all = append(all, edge{"linkbeat " + strings.Join(argv, " "), out, err, textOwn})
	}
	return all, nil
}

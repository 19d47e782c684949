// Package e2e shows the main job from outside: devices on pseudo-terminals, the real agent, the real mosquitto, and a
// subscriber that keeps the books. Each function adds rows to a table; `make test` and `make e2e` run the same ones.
package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// rig is one gateway with its devices, a broker and a subscriber of everything the gateway sends.
type rig struct {
	e      *kit.Env
	broker *kit.Broker
	agent  *kit.Agent
	sub    *kit.Collector
	ttys   map[string]*kit.Pty
}

// rigOptions choose the uplink and the machine.
type rigOptions struct {
	id      string
	scheme  string   // mqtt, mqtts (with client certificate), ws
	target  string   // "" for this machine, else a kit.Target run under qemu
	devices []string // names; each gets a pty
	more    func(d kit.Doc)
}

// newRig prepares all of it; the agent is not started.
func newRig(e *kit.Env, o rigOptions) (*rig, error) {
	certs, err := e.Certs()
	if err != nil {
		return nil, err
	}
	argv, err := argvFor(e, o.target)
	if err != nil {
		return nil, err
	}
	s, err := e.Site(kit.SiteOptions{ID: o.id, Broker: kit.BrokerOptions{Certs: certs, WS: true}, Scheme: o.scheme,
		Devices: o.devices, Argv: argv, Doc: func(d kit.Doc) {
			if o.scheme == "mqtts" {
				d.Set("uplink.tls", map[string]any{"ca_file": certs.CA, "cert_file": certs.ClientCert,
					"key_file": certs.ClientKey})
			}
			if o.more != nil {
				o.more(d)
			}
		}})
	if err != nil {
		return nil, err
	}
	return &rig{e: e, broker: s.Broker, agent: s.Agent, sub: s.Books, ttys: s.Ttys}, nil
}

func argvFor(e *kit.Env, target string) ([]string, error) {
	bin, err := e.BuildAgent(target)
	if err != nil || target == "" {
		return []string{bin}, err
	}
	return []string{"qemu-arm-static", bin}, nil
}

// ready waits until the agent says that a device is open; it is part of "up" for these tests.
func (r *rig) ready() error {
	if err := r.agent.StartUp(); err != nil {
		return err
	}
	return r.opened()
}

// kill ends the agent with SIGKILL and clears what that leaves on the ttys, since the harness holds them open.
func (r *rig) kill() {
	r.agent.Kill()
	for _, tty := range r.ttys {
		tty.Free()
	}
}

// opened waits until every device is open.
func (r *rig) opened() error {
	for name := range r.ttys {
		err := r.e.Until("device "+name+" to be open", 10*time.Second, func() bool {
			s, err := r.agent.Status()
			return err == nil && s.Serial[name].State == "open"
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// data tallies what came from one device so far.
func (r *rig) data(device string) (*kit.Tally, error) {
	return kit.Count(r.sub.Arrivals(r.agent.Topic("up/data/" + device)))
}

// reply is a payload of up/reply/<name>.
type reply struct {
	ID    string `json:"id"`
	OK    bool   `json:"ok"`
	Error string `json:"error"`
}

// replies returns what came for a command id.
func (r *rig) replies(device, id string) []reply {
	var got []reply
	for _, a := range r.sub.Arrivals(r.agent.Topic("up/reply/" + device)) {
		var one reply
		if json.Unmarshal(a.Payload, &one) == nil && one.ID == id {
			got = append(got, one)
		}
	}
	return got
}

// send publishes a write command and returns at once; expires is from now, 0 leaves it out.
func (r *rig) send(device, id string, expires time.Duration, fields map[string]any) error {
	cmd := map[string]any{"id": id}
	if expires != 0 {
		cmd["expires"] = time.Now().Add(expires).UnixMilli()
	}
	for k, v := range fields {
		cmd[k] = v
	}
	b, err := json.Marshal(cmd)
	if err != nil {
		return fmt.Errorf("command %s: %w", id, err)
	}
	return r.sub.Publish(r.e.Ctx, r.agent.Topic("dn/cmd/"+device+"/write"), false, b)
}

// answer waits for the nth reply to a command.
func (r *rig) answer(device, id string, n int) (reply, error) {
	err := r.e.Until(fmt.Sprintf("reply %d to %s of %s", n, id, device), 10*time.Second,
		func() bool { return len(r.replies(device, id)) >= n })
	if err != nil {
		return reply{}, err
	}
	return r.replies(device, id)[n-1], nil
}

// done waits for the answer ok.
func (r *rig) done(device, id string) error {
	got, err := r.answer(device, id, 1)
	if err == nil && !got.OK {
		err = fmt.Errorf("reply %+v, want ok", got)
	}
	return err
}

// wantError sends a command and wants that error back.
func (r *rig) wantError(device, id string, expires time.Duration, fields map[string]any, want string) error {
	if err := r.send(device, id, expires, fields); err != nil {
		return err
	}
	got, err := r.answer(device, id, 1)
	if err != nil {
		return err
	}
	if got.OK || got.Error != want {
		return fmt.Errorf("reply %+v, want error %q", got, want)
	}
	return nil
}

// lastState is the newest up/state payload.
func (r *rig) lastState() string {
	all := r.sub.Arrivals(r.agent.Topic("up/state"))
	if len(all) == 0 {
		return ""
	}
	return string(all[len(all)-1].Payload)
}

// whySays waits until the status' why contains a word.
func (r *rig) whySays(word string) error {
	var why string
	err := r.e.Until("why to say "+word, 10*time.Second, func() bool {
		s, err := r.agent.Status()
		if err == nil {
			why = s.Why
		}
		return strings.Contains(why, word)
	})
	if err != nil {
		return fmt.Errorf("%w; why = %q", err, why)
	}
	return nil
}

// relays sends a line as the device and waits for it at the subscriber.
func (r *rig) relays(device, line string) error {
	before, err := r.data(device)
	if err != nil {
		return err
	}
	if _, err := r.ttys[device].Write([]byte(line + "\n")); err != nil {
		return err
	}
	return r.e.Until(fmt.Sprintf("line %q of %s", line, device), 10*time.Second, func() bool {
		t, err := r.data(device)
		if err != nil || len(t.Records) <= len(before.Records) {
			return false
		}
		b, err := t.Records[len(t.Records)-1].Bytes()
		return err == nil && string(b) == line
	})
}

// Recordings are the text captures, by device name.
func Recordings() []string { return []string{"neo-m8n", "ais-nmea", "quectel-eg25-g"} }

func recording(name string) ([]byte, error) {
	root, err := kit.Root()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(root, "build/testdata", name+".log"))
	if err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	return b, nil
}

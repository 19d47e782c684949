package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Readme does what README.md says to somebody new: its example of a configuration, with the access rules that
// linkbeatctl prints for a broker. Only what cannot be the same here is put in: the broker's address and authority, the
// file of the password, the port.
func Readme(e *kit.Env, t *kit.Table) error {
	doc, err := readmeExample()
	if err != nil {
		return err
	}
	ctl := filepath.Join(e.Dir, "linkbeatctl")
	if err := kit.Build(e.Ctx, "cmd/linkbeatctl", ctl); err != nil {
		return err
	}
	rules, err := exec.CommandContext(e.Ctx, ctl, "acl", "--for", "mosquitto").Output()
	if err != nil {
		return fmt.Errorf("linkbeatctl acl: %w", err)
	}
	s, err := newReadmeSite(e, doc, string(rules))
	if err != nil {
		return err
	}
	t.Check("README's example with the rules of linkbeatctl acl: frames arrive", s.relays("meter", "hello"))
	t.Check("README's example: and the agent has nothing to complain of", s.content())
	return s.agent.Term()
}

// readmeExample is the first YAML block of README.md.
func readmeExample() (kit.Doc, error) {
	root, err := kit.Root()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		return nil, fmt.Errorf("the example: %w", err)
	}
	_, rest, ok := strings.Cut(string(text), "\n```yaml\n")
	block, _, closed := strings.Cut(rest, "\n```")
	if !ok || !closed {
		return nil, errors.New("README.md has no YAML block: where is its example?")
	}
	var doc map[string]any // not a Doc: the maps in it would be Docs too
	if err := yaml.Unmarshal([]byte(block), &doc); err != nil {
		return nil, fmt.Errorf("README.md's example: %w", err)
	}
	return doc, nil
}

func newReadmeSite(e *kit.Env, doc kit.Doc, rules string) (*rig, error) {
	operator := regexp.MustCompile(`(?m)^# (user operator|topic .*)$`)
	s := &rig{e: e, ttys: map[string]*kit.Pty{}}
	certs, err := e.Certs()
	if err != nil {
		return nil, err
	}
	if s.broker, err = e.Broker(kit.BrokerOptions{Certs: certs, ACL: operator.ReplaceAllString(rules, "$1")}); err != nil {
		return nil, err
	}
	if s.sub, err = e.Collect(kit.CollectOptions{URL: s.broker.URL(), ID: "operator", User: "operator",
		Filters: []string{"lb/+/up/#"}}); err != nil {
		return nil, err
	}
	if s.ttys["meter"], err = e.Pty("readme-meter"); err != nil {
		return nil, err
	}
	password := filepath.Join(e.Dir, "readme-password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		return nil, fmt.Errorf("the password: %w", err)
	}
	doc.Set("uplink.servers", []any{map[string]any{"url": s.broker.SchemeURL("mqtts")}}).Set("uplink.password_file", password).
		Set("uplink.tls", map[string]any{"ca_file": certs.CA, "cert_file": certs.ClientCert, "key_file": certs.ClientKey}).
		Set("serial.meter.port", s.ttys["meter"].Port)
	if s.agent, err = e.Agent(kit.AgentOptions{Doc: doc}); err != nil {
		return nil, err
	}
	return s, s.ready()
}

// content waits until every class of topics was tried; then nothing may be denied, and why must be empty.
func (r *rig) content() error {
	var last *kit.Status
	err := r.e.Until("nothing to complain of", 30*time.Second, func() bool {
		s, err := r.agent.Status()
		last = s
		return err == nil && s.Why == "" && s.Spool.Waiting == 0 && s.Spool.Acked > 0
	})
	if err != nil {
		return fmt.Errorf("%w: %+v", err, last)
	}
	return nil
}

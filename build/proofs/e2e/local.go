package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Local asks a running agent as a person on the gateway does: over its socket what acts and taps, over TCP what is only read.
func Local(e *kit.Env, t *kit.Table) error {
	r, err := newRig(e, rigOptions{id: "gw-local", scheme: "mqtt", devices: []string{"meter"}})
	if err != nil {
		return err
	}
	if err := r.ready(); err != nil {
		return err
	}
	bin, err := e.BuildAgent("")
	if err != nil {
		return err
	}
	ask := func(name string, want int, words string, argv ...string) error {
		p, err := e.StartProc(name, "", nil, append([]string{bin}, argv...)...)
		if err != nil {
			return err
		}
		code, err := p.Exit(time.Minute)
		if said := p.Tail(40); err != nil || code != want || !strings.Contains(said, words) {
			return fmt.Errorf("%s: exit code %d, want %d with %q, %w\n%s", name, code, want, words, err, said)
		}
		return nil
	}
	socket := r.agent.Socket()
	t.Check("the socket is for its user and group: mode 0660", func() error {
		info, err := os.Lstat(socket)
		if err == nil && info.Mode().Perm() != 0o660 {
			err = fmt.Errorf("mode %#o", info.Mode().Perm())
		}
		return err
	}())
	t.Check("status: over the socket", ask("status", 0, "gw-local", "status", "--socket", socket))
	t.Check("curl of /status over TCP goes on, /tap over TCP does not", r.overTCP())
	t.Check("reconnect, up: a planned re-dial, no drop", func() error {
		if err := ask("reconnect-up", 0, "connected anew to", "reconnect", "--socket", socket); err != nil {
			return err
		}
		s, err := r.agent.Status()
		if err == nil && (s.Uplink.Drops != 0 || r.broker.Connects("gw-local") != 2) {
			err = fmt.Errorf("%d drops, %d connections", s.Uplink.Drops, r.broker.Connects("gw-local"))
		}
		return errors.Join(err, r.relays("meter", "after a re-dial"))
	}())
	t.Check("reload: says what changed, and which fault", func() error {
		doc := kit.NewDoc("gw-local", r.broker.URL()).Line("meter", r.ttys["meter"].Port).Set("log.level", "debug")
		if err := r.agent.Configure(doc); err != nil {
			return err
		}
		if err := ask("reload", 0, "log.level", "reload", "--socket", socket); err != nil {
			return err
		}
		if err := r.agent.ConfigureRaw([]byte("uplink: {servers: [{url: 5}], colour: red}\n")); err != nil {
			return err
		}
		return ask("reload-bad", 1, "the previous configuration stays in use", "reload", "--socket", socket)
	}())
	t.Check("stopped: the socket is gone, and that is said", func() error {
		if err := r.agent.Term(); err != nil {
			return err
		}
		return ask("reload-gone", 3, socket+" is not there", "reload", "--socket", socket)
	}())
	return nil
}

// overTCP asks the page as a script does.
func (r *rig) overTCP() error {
	for path, want := range map[string]string{"/status": "200 ", "/healthz": "200 ok",
		"/tap/meter": "403 a tap is not for everybody"} {
		res, err := http.Get("http://" + r.agent.HTTP + path)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if said := fmt.Sprintf("%d %s", res.StatusCode, body); err != nil || !strings.HasPrefix(said, want) {
			return fmt.Errorf("%s: %s, %w", path, said, err)
		}
	}
	return nil
}

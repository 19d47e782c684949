package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Diag asks why a gateway is offline, beside its running agent, which must not notice: over TLS where all is well, and
// at a broker that is gone.
func Diag(e *kit.Env, t *kit.Table) error {
	r, err := newRig(e, rigOptions{id: "gw-diag", scheme: "mqtts"})
	if err != nil {
		return err
	}
	if err := r.agent.StartUp(); err != nil {
		return err
	}
	bin, err := e.BuildAgent("")
	if err != nil {
		return err
	}
	bundle := filepath.Join(r.agent.Dir, "bundle.tar.gz")
	t.Check("linkbeat diag: all is well", diagnoses(e, "diag-well", 0, bin, "diag", "-c", r.agent.ConfigPath, "--bundle", bundle))
	if info, err := os.Stat(bundle); err != nil || info.Size() == 0 || info.Mode().Perm() != 0o600 {
		t.Check("linkbeat diag --bundle", fmt.Errorf("%v, %w", info, err))
	}
	t.Check("linkbeat check --online: all is well", diagnoses(e, "check-well", 0, bin, "check", "--online", "-c",
		r.agent.ConfigPath))
	s, err := r.agent.Status()
	if err == nil && (s.Uplink.State != "up" || s.Uplink.Drops != 0) {
		err = fmt.Errorf("the agent was disturbed: %+v", s.Uplink)
	}
	t.Check("linkbeat diag beside a running agent", err)
	if err := r.broker.Stop(); err != nil {
		return err
	}
	t.Check("linkbeat diag: the broker is gone", diagnoses(e, "diag-gone", 1, bin, "diag", "-c", r.agent.ConfigPath))
	p, err := e.StartProc("diag-json", "", nil, bin, "diag", "-c", r.agent.ConfigPath, "--json")
	if err != nil {
		return err
	}
	if _, err := p.Exit(time.Minute); err != nil {
		return err
	}
	var report struct {
		Servers []struct {
			Steps []struct{ Step, Fault, Hint string }
		}
	}
	if err = json.Unmarshal([]byte(p.Tail(1<<10)), &report); err == nil && len(report.Servers) != 1 {
		err = fmt.Errorf("%d servers", len(report.Servers))
	}
	if err == nil {
		steps := report.Servers[0].Steps
		if last := steps[len(steps)-1]; last.Step != "tcp" || last.Fault != "refused" || last.Hint == "" {
			err = fmt.Errorf("%+v", last)
		}
	}
	t.Check("linkbeat diag --json: the broker is gone", err)
	return nil
}

func diagnoses(e *kit.Env, name string, want int, argv ...string) error {
	p, err := e.StartProc(name, "", nil, argv...)
	if err != nil {
		return err
	}
	if code, err := p.Exit(time.Minute); err != nil || code != want {
		return fmt.Errorf("exit code %d, want %d, %w\n%s", code, want, err, p.Tail(40))
	}
	return nil
}

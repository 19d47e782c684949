package hostile

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// badDisk is a state directory on a disk that cannot be written to: its mount options, and what is done there first.
type badDisk struct {
	name, options, before string
	soon                  string // done once the agent runs; empty: nothing
}

func badDisks() []badDisk {
	return []badDisk{
		{name: "full", options: "size=256k", before: `head -c 10000000 /dev/zero > "$S/filler" 2>/dev/null; true`},
		{name: "read-only", options: "size=1m,ro"},
		{name: "without inodes", options: "size=1m,nr_inodes=3", before: `touch "$S/a" "$S/b" 2>/dev/null; true`},
		{name: "full soon", options: "size=1m", soon: `head -c 10000000 /dev/zero > "$S/filler" 2>/dev/null; true`},
		{name: "read-only soon", options: "size=1m", soon: `mount --bind "$S" "$S" && mount -o remount,bind,ro "$S"`},
	}
}

// disks runs the agent on each of them: it works, says what is wrong, and loses nothing that it does not say. The mount is in a
// namespace of its own.
func (l lab) disks() error {
	var jobs []func() error
	for i, d := range badDisks() {
		if i < 3 || l.o.Full {
			jobs = append(jobs, func() error {
				if err := l.disk(d); err != nil {
					return fmt.Errorf("%s: %w", d.name, err)
				}
				return nil
			})
		}
	}
	return kit.SideBySide(3, jobs)
}

func (l lab) disk(d badDisk) error {
	s, err := l.onDisk(d)
	if err != nil {
		return err
	}
	const name = "a disk that is "
	if err := s.Agent.StartUp(); err != nil {
		l.t.Check(name+d.name+": the agent runs", err)
		return nil
	}
	if d.soon != "" {
		l.Sleep(2 * time.Second)
	}
	said := 0
	talk := func(n int) error {
		for range n {
			if _, err := fmt.Fprintf(s.Ttys["meter"], "frame %d\n", said); err != nil {
				return err
			}
			said++
			l.Sleep(20 * time.Millisecond)
		}
		return nil
	}
	if err := talk(30); err != nil {
		return err
	}
	if err := s.Broker.Stop(); err != nil { // what comes meanwhile has no place but memory
		return err
	}
	if err := talk(30); err != nil {
		return err
	}
	if err := s.Broker.Start(); err != nil {
		return err
	}
	why := ""
	sayErr := l.Until("why to say it", 5*time.Second, func() bool {
		if st, err := s.Agent.Status(); err == nil && st.Uplink.State == "up" {
			why = st.Why
		}
		return why != ""
	})
	got := map[string]bool{}
	_ = l.Until("the frames", 10*time.Second, func() bool {
		texts(s.Books.Arrivals(s.Agent.Topic("up/data/meter")), got)
		return len(got) == said
	})
	l.t.Check(name+d.name+": the agent runs and says it", sayErr)
	l.t.Exactly(name+d.name+": frames lost", said-len(got), 0, fmt.Sprint("of ", said), "")
	reply, _, err := s.Command("meter", "write", map[string]any{"text": "X"})
	if err == nil && reply.OK && d.soon == "" {
		err = fmt.Errorf("it was carried out although its id cannot be on the disk")
	}
	l.t.Check(name+d.name+": a command is answered, and not carried out", err)
	l.Logf("%s: why %q, command %+v", d.name, why, reply)
	return s.Agent.Term()
}

// onDisk is a gateway whose state directory is on such a disk.
func (l lab) onDisk(d badDisk) (*kit.Site, error) {
	s, err := l.Site(kit.SiteOptions{ID: "gw-disk-" + strings.ReplaceAll(d.name, " ", "-"), Devices: []string{"meter"},
		Doc: func(doc kit.Doc) {
			doc.Set("spool.write_after", "0s").Set("spool.sync", "always").Set("uplink.backoff.max", "1s")
			doc["serial"].(map[string]any)["meter"].(map[string]any)["commands"] = true
		}})
	if err != nil {
		return nil, err
	}
	script := fmt.Sprintf(`S=%q; mkdir -p "$S" && mount -t tmpfs -o %s none "$S" || exit 9; %s
`, filepath.Join(s.Agent.Dir, "state"), d.options, d.before)
	if d.soon != "" {
		script += fmt.Sprintf("(sleep 1.5; %s) & ", d.soon)
	}
	s.Agent.Use("unshare", "-m", "sh", "-c", script+`exec "$@"`, "sh", l.agent)
	return s, nil
}

// texts adds the texts of frames to a set.
func texts(arrivals []kit.Arrival, into map[string]bool) {
	for _, a := range arrivals {
		frames, err := a.Decode()
		if err != nil {
			continue
		}
		for _, f := range frames {
			if f.Text != nil {
				into[*f.Text] = true
			}
		}
	}
}

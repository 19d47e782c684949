package upgrade

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Program is a linkbeat that a story is told to.
type Program struct {
	Argv  []string
	Early []string // the same one, built in the future: to it no clock is set
}

// story is what happens to a gateway until its state is looked at.
type story struct {
	name   string
	learns bool
	tell   func(g *gateway, p Program) error
}

func stories() []story {
	return []story{{"stopped", true, stopped}, {"killed", false, killed}, {"aged", false, aged}}
}

// Writes that leave no doubt when: with each record, or not before the end.
func atOnce(more ...string) map[string]any { return spoolOf("0s", "always", more...) }
func atTheEnd() map[string]any             { return spoolOf("1h", "1s") }

func spoolOf(writeAfter, sync string, more ...string) map[string]any {
	s := map[string]any{"write_after": writeAfter, "sync": sync}
	for i := 0; i+1 < len(more); i += 2 {
		s[more[i]] = more[i+1]
	}
	return s
}

// life is one life of an agent: begun under a document, and then what happens.
func (g *gateway) life(spool map[string]any, happens ...func() error) error {
	if err := g.agent.Configure(g.document(spool)); err != nil {
		return err
	}
	g.answer()
	if err := g.start(true); err != nil {
		return err
	}
	for _, f := range happens {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// stopped is the long story, with the broker away after the first life.
func stopped(g *gateway, p Program) error {
	big := strings.Repeat("too large ", 3400) // twice as much in hex, and max_payload has room for 64 KiB of topic
	if err := g.listen(); err != nil {
		return err
	}
	if err := g.life(atTheEnd(), g.arrives, g.learnt, g.commands,
		func() error { return g.round("online") },
		g.arrives,
		func() error { return g.cutOff(1, big) },
		func() error { return g.round("unacknowledged") },
		g.lost, g.agent.Term); err != nil {
		return fmt.Errorf("online: %w", err)
	}
	if err := g.life(atOnce("max_bytes", "64KiB"), g.flood, func() error { return g.round("behind the flood") },
		func() error { return g.turn(7) }, g.agent.Term); err != nil {
		return fmt.Errorf("full: %w", err)
	}
	if err := g.life(atTheEnd(), func() error { return g.round("in memory only") },
		func() error { g.kill(); return nil }); err != nil {
		return fmt.Errorf("killed in between: %w", err)
	}
	if err := g.rot(); err != nil {
		return err
	}
	if err := g.life(atTheEnd(), func() error { return g.round("after the rot") }, func() error { return g.turn(9) },
		g.agent.Term); err != nil {
		return fmt.Errorf("rotten: %w", err)
	}
	g.agent.Use(p.Early...)
	defer g.agent.Use(p.Argv...)
	if err := g.life(nil, func() error { return g.round("of no time") }, g.agent.Term); err != nil {
		return fmt.Errorf("clock not set: %w", err)
	}
	return nil
}

// killed ends with a request that is being carried out, and with records that no broker has acknowledged.
func killed(g *gateway, _ Program) error {
	if err := g.listen(); err != nil {
		return err
	}
	return g.life(spoolOf("0s", "1h"), g.arrives, func() error { return g.round("before") }, g.arrives,
		func() error { return g.cutOff(0, "") },
		func() error { return g.round("unacknowledged", "plc") }, func() error { return g.turn(3) },
		func() error { g.kill(); g.broker.Kill(); return nil })
}

// aged has nothing but gaps.
func aged(g *gateway, _ Program) error {
	g.broker.Kill()
	return g.life(atOnce("max_age", "1s"), func() error { return g.round("too old") }, func() error {
		return g.until("everything to be too old", func(s status) bool { return s.waiting() == 0 && s.Spool.Evicted > 0 })
	}, g.agent.Term)
}

// arrives waits until the broker has acknowledged everything.
func (g *gateway) arrives() error {
	return g.until("everything to arrive", func(s status) bool { return s.Uplink.State == "up" && s.waiting() == 0 })
}

// learnt waits until the path is known.
func (g *gateway) learnt() error {
	return g.until("the heartbeat to settle", func(s status) bool { return s.Heartbeat.Phase == "settled" })
}

// The commands of the stories, and what the devices are to answer.
func written() command { return command{"plc", "write", "write-1", `"text":"set 5"`} }
func asked() command   { return command{"plc", "request", "request-1", `"text":"how much?"`} }
func unheard() command { return command{"plc", "request", "request-2", `"text":"and now?"`} }
func setting() command { return command{"boiler", "write", "values-1", `"values":{"setpoint":21.5}`} }

// commands are carried out and answered, each before the next; what was set is read by the next poll.
func (g *gateway) commands() error {
	before, err := g.status()
	if err != nil {
		return err
	}
	if err := g.carriedOut(written(), func() error { return g.got("plc", "set 5\n") }); err != nil {
		return err
	}
	if err := g.carriedOut(setting(), func() error {
		return g.until("what was set to be read", func(s status) bool { return s.Spool.Accepted > before.Spool.Accepted })
	}); err != nil {
		return err
	}
	return g.carriedOut(asked(), func() error {
		return errors.Join(g.got("plc", "how much?\n"), g.play("plc", "this much"))
	})
}

// carriedOut sends a command and waits for its reply; meanwhile is what the device does.
func (g *gateway) carriedOut(c command, meanwhile func() error) error {
	if err := g.send(c); err != nil {
		return err
	}
	if err := meanwhile(); err != nil {
		return fmt.Errorf("%s: %w", c.id, err)
	}
	return errors.Join(g.answered(c, 0), g.arrives())
}

// cutOff sends a request, stops the broker from acknowledging, has a frame that is too large given up, and answers the
// request if it is to be answered.
func (g *gateway) cutOff(answers int, tooLarge string) error {
	if err := g.send(unheard()); err != nil {
		return err
	}
	if err := g.got("plc", "and now?\n"); err != nil {
		return err
	}
	if err := g.broker.Freeze(); err != nil {
		return err
	}
	before, err := g.status()
	if err != nil {
		return err
	}
	if tooLarge != "" {
		if err := g.play("hexa", tooLarge); err != nil {
			return err
		}
		if err := g.until("the frame to be given up",
			func(s status) bool { return s.Spool.Poison > before.Spool.Poison }); err != nil {
			return err
		}
	}
	if answers == 0 {
		return nil
	}
	if err := g.play("plc", "nobody hears that"); err != nil {
		return err
	}
	return g.until("the reply to wait", func(s status) bool { return s.Replies.Waiting > 0 })
}

// lost takes the broker away.
func (g *gateway) lost() error {
	g.broker.Kill()
	g.books.Close()
	return g.until("the link to be lost", func(s status) bool { return s.Uplink.State != "up" })
}

// flood plays more than the spool holds.
func (g *gateway) flood() error {
	var lines []string
	for n := 1; n <= 600; n++ {
		lines = append(lines, string(kit.NumberedFrame(n, 100)))
	}
	return g.play("text", lines...)
}

// rot turns one bit in the middle of the second segment.
func (g *gateway) rot() error {
	segments, err := filepath.Glob(filepath.Join(g.agent.Dir, "state", "spool", "data", "*.seg"))
	if err != nil || len(segments) < 4 {
		return errors.Join(err, fmt.Errorf("%d segments, want 4 or more", len(segments)))
	}
	slices.Sort(segments)
	p, err := os.ReadFile(segments[1])
	if err == nil {
		p[len(p)/2] ^= 1
		err = os.WriteFile(segments[1], p, 0o600)
	}
	if err != nil {
		return fmt.Errorf("rot: %w", err)
	}
	return nil
}

// Package ports shows that a serial port is found again: an adapter is pulled out and put back under another number while
// its frames flow, with ids from a tree of files that stands for /sys, and a serial server falls silent.
package ports

import (
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Lab is this laboratory's row of the table.
func Lab() kit.Lab {
	return kit.Lab{
		Name: "ports",
		Promise: "a hundred replugs under changing names, no frame lost; a tty as the kernel makes it; " +
			"a serial server that falls silent",
		Needs: []string{"root", "ip", "nft"},
		Takes: 2 * time.Minute, Limit: 10 * time.Minute, Short: short().run, Full: full().run,
	}
}

// options choose how much is shown.
type options struct {
	Heard  int  // replugs that uevents tell of; root, who can make the kernel send some
	Looked int  // replugs that nobody tells of, so that they are found by looking twice a second
	Cooked int  // replugs of a tty as the kernel makes it
	Silent bool // a serial server that falls silent, which takes half a minute; root: uses namespaces
}

// short is what `make test` runs.
func short() options { return options{Heard: 10, Looked: 2, Cooked: 2} }

// full is what `make lab-ports` runs.
func full() options { return options{Heard: 100, Looked: 20, Cooked: 20, Silent: true} }

// run shows all of it.
func (o options) run(e *kit.Env, t *kit.Table) error {
	t.Say("a replug: the pseudo-terminal is removed and made again, its name is taken by another adapter, it gets another one;")
	t.Say("frames are written from the moment it is back, before anybody can have noticed, until it is pulled out; " +
		"what the kernel")
	t.Say("holds for a reader at that moment it throws away, so the last frame is waited for; then half a frame is written.")
	t.Say("As the kernel makes it, a tty edits and echoes until it is raw; a pseudo-terminal even before anybody opens it.")
	if o.Heard > 0 {
		if err := replugs(e, o.Heard, true, t); err != nil {
			return err
		}
	}
	if err := replugs(e, o.Looked, false, t); err != nil {
		return err
	}
	if err := cooked(e, o.Cooked, t); err != nil {
		return err
	}
	if o.Silent {
		return silence(e, t)
	}
	return nil
}

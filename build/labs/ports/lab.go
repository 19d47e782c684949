// Package ports shows that a serial port is found again: an adapter is pulled out and put back under another number while
// its frames flow, with ids from a tree of files that stands for /sys, and a serial server falls silent.
package ports

import (
	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Options choose how much is shown.
type Options struct {
	Heard  int  // replugs that uevents tell of; root, who can make the kernel send some
	Looked int  // replugs that nobody tells of, so that they are found by looking twice a second
	Cooked int  // replugs of a tty as the kernel makes it
	Silent bool // a serial server that falls silent, which takes half a minute; root: uses namespaces
}

// Short is what `make test` runs.
func Short() Options { return Options{Heard: 10, Looked: 2, Cooked: 2} }

// Full is what `make lab-ports` runs.
func Full() Options { return Options{Heard: 100, Looked: 20, Cooked: 20, Silent: true} }

// Run shows all of it.
func Run(e *kit.Env, o Options, t *kit.Table) error {
	t.Say("a replug: the pseudo-terminal is removed and made again, its name is taken by another adapter, it gets another one;")
	t.Say("frames are written from the moment it is back, before anybody can have noticed, until it is pulled out; what the kernel")
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

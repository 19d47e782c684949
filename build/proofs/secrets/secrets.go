// Package secrets proves who sees a password: not whoever is on the path, not another user of the gateway, not a bundle's
// reader. The real agent and linkbeatctl run with many configurations in a network namespace of their own, where 192.0.2.1 is
// another machine to them; every byte that arrives there without TLS is kept, and so is all that the programs write. Every secret
// holds one word, which is then looked for.
//
// make lab-hostile shows the table; [Run] is for it.
package secrets

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// word is in every secret.
const word = "hunter2"

// atOnce is how many agents run side by side.
const atOnce = 6

// seen is where a word was found, by who looked.
type seen struct {
	mu     sync.Mutex
	path   []string // man in the middle
	local  []string // another user of the gateway
	bundle []string // whoever is sent one
	wrong  []string // what was not said, or did not run
}

// note adds a case to the list of those who saw a secret.
func (s *seen) note(list *[]string, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*list = append(*list, fmt.Sprintf(format, args...))
}

// Needs are the tools of Run, for kit.Need.
func Needs() []string { return []string{"root", "ip"} }

// Run tries every configuration and judges.
func Run(e *kit.Env, t *kit.Table) error {
	w, err := newWorld(e)
	if err != nil {
		return err
	}
	all, s := cases(), &seen{}
	var jobs []func() error
	for _, c := range all {
		jobs = append(jobs, func() error {
			if err := w.try(c, s); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			return nil
		})
	}
	for _, c := range commands() {
		jobs = append(jobs, func() error {
			if err := w.tryCommand(c, s); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			return nil
		})
	}
	if err := kit.SideBySide(atOnce, jobs); err != nil {
		return err
	}
	t.AtLeast("configurations and commands with secrets", float64(len(jobs)), 30, "")
	for name, list := range map[string][]string{"passwords seen by a man in the middle": s.path,
		"passwords seen by a local user": s.local, "passwords seen by a bundle's reader": s.bundle,
		"what was not said, not refused, or did not run": s.wrong} {
		t.Exactly(name, len(list), 0, "", strings.Join(list, "; "))
	}
	return nil
}

// holds reports that a text has the word in it, as it is or as HTTP writes a login.
func holds(text string) bool {
	for _, form := range forms() {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

// errNotSaid is of a sentence that is missing.
var errNotSaid = errors.New("not said")

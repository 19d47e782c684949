package mcu

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

const (
	back    = time.Second            // the goal: every port is open again
	plugged = 300 * time.Millisecond // and as much again at random
	crashed = 3 * time.Second        // at random: the slave is backed off meanwhile
	gone    = 200 * time.Millisecond
)

// replugs kills qemu and starts it again; every second time the firmware has crashed before, in the middle of a sentence. The
// sentences are compared at the end of the run, in books.
func (s *scene) replugs(t *kit.Table) error {
	t.Say("replugged is counted from the first symbolic link; qemu looks once a second whether anybody has opened a " +
		"pseudo-terminal")
	t.Say("before it reads from it, which is why a new life hears nothing in its first second, but is heard.")
	var opened, polled, asked []time.Duration
	for i := range s.o.Replugs {
		s.Env.Sleep(plugged + rand.N(plugged))
		if i%2 == 1 {
			if err := s.send(sentences, "$LBSET,CRASH,1"); err != nil {
				return err
			}
			s.Env.Sleep(rand.N(crashed))
		}
		before, err := s.unplug()
		if err != nil {
			return fmt.Errorf("replug %d: %w", i, err)
		}
		s.Env.Sleep(rand.N(gone))
		if err := s.board.plugIn(); err != nil {
			return err
		}
		since := func(all *[]time.Duration) { *all = append(*all, time.Since(s.board.back)) }
		if err := s.Env.Until("all ports to be open", patience, func() bool { return s.open() == len(lines()) }); err != nil {
			return err
		}
		since(&opened)
		if err := s.says(cobs, "C", "4300000001"); err != nil { // the first after its reset
			return err
		}
		since(&asked)
		if err := s.Env.Until("the slave to be polled", 70*time.Second, func() bool { return s.fresh(before) }); err != nil {
			return err
		}
		since(&polled)
	}
	for _, x := range []struct {
		what string
		took []time.Duration
		goal time.Duration
	}{{"all four ports are open", opened, back}, {"a request is answered", asked, 0},
		{"values of the slave at the broker", polled, 0}} {
		slices.Sort(x.took)
		name := "replugged: " + x.what + " after, "
		t.Info(name+"median", ms(x.took[len(x.took)/2]), "ms")
		if worst := ms(x.took[len(x.took)-1]); x.goal > 0 {
			t.Within(name+fmt.Sprint("worst of ", len(x.took)), worst, ms(x.goal), "ms")
		} else {
			t.Info(name+fmt.Sprint("worst of ", len(x.took)), worst, "ms")
		}
	}
	return nil
}

// unplug pulls the plug when the gateway has read all, and returns how many records of the slave there are.
func (s *scene) unplug() (int, error) {
	if err := s.board.halt(); err != nil {
		return 0, err
	}
	if err := s.settle(); err != nil {
		return 0, err
	}
	s.board.pullOut()
	if err := s.Env.Until("the gateway to lose its ports", patience, func() bool { return s.open() == 0 }); err != nil {
		return 0, err
	}
	before, err := s.records()
	return len(before), err
}

// open counts ports.
func (s *scene) open() (n int) {
	status, err := s.Agent.Status()
	if err != nil {
		return -1
	}
	for _, line := range lines() {
		if status.Serial[line].State == "open" {
			n++
		}
	}
	return n
}

// fresh is true when a record after the first n has a value.
func (s *scene) fresh(n int) bool {
	all, err := s.records()
	if err != nil || len(all) <= n {
		return false
	}
	return slices.ContainsFunc(all[n:], func(r record) bool {
		var uptime int64
		return json.Unmarshal(r.Values["uptime"], &uptime) == nil
	})
}

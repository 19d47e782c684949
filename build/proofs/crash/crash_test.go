package crash

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

func TestKillsLoseNothingThatWasAccepted(t *testing.T) {
	kit.Need(t, "mosquitto")
	for _, o := range []Options{
		{Label: "always", Kills: 3, Stops: 1, WriteAfter: "0s", Sync: "always"},
		{Label: "defaults", Kills: 3, Stops: 1},
		{Label: "mixed", Kills: 3, Stops: 1, WriteAfter: "0s", Sync: "always", Mixed: true},
	} {
		o.Slack = 4 * time.Second // other tests keep the processors and the disk busy
		t.Run(o.Label, func(t *testing.T) {
			e := kit.Test(t, 2*time.Minute)
			table := kit.NewTable("crash").Brief()
			if err := Run(e, o, table); err != nil {
				t.Fatal(err)
			}
			table.Judge(t)
		})
	}
}

// A player that nobody reads is stuck in a write; waiting for it must end, or the run hangs until the end of the test.
func TestAStuckPlayerIsNotWaitedForForEver(t *testing.T) {
	e := kit.Test(t, time.Minute)
	tty, err := e.Pty("stuck")
	if err != nil {
		t.Fatal(err)
	}
	player := &kit.Numbered{Rate: 1_000_000, Size: 4 << 10}
	r := &run{e: e, devices: []*device{{name: "stuck", tty: tty, player: player}}}
	stop := r.play()
	count := -1
	if err := e.Until("the kernel's buffer to be full", 20*time.Second, func() bool {
		full := count == len(player.Wrote()) && count > 0
		count = len(player.Wrote())
		e.Sleep(300 * time.Millisecond)
		return full
	}); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := r.played(100 * time.Millisecond); err == nil {
		t.Fatal("the player ended, though nobody read the tty")
	}
}

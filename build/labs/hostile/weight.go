package hostile

import (
	"os"
	"os/exec"
	"strings"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/tools/size"
)

// before is the commit that step 7 began from, and grown what all of it may add to the sections of the ARMv6 agent, in kB.
const (
	before = "cc012e6"
	grown  = 40.0
)

// size weighs what keeping strangers out has cost.
func (l lab) size() error {
	root, err := kit.Root()
	if err != nil {
		return err
	}
	if exec.CommandContext(l.Ctx, "git", "-C", root, "cat-file", "-e", before+"^{commit}").Run() != nil {
		l.t.Say("Size: %s is not in this clone, so there is nothing to compare with.", before)
		return nil
	}
	tree, err := l.Sub("before")
	if err != nil {
		return err
	}
	if err := kit.Unpack(l.Ctx, root, before, tree); err != nil {
		return err
	}
	defer os.RemoveAll(tree)
	was, err := size.Weigh(l.Env, tree)
	if err != nil {
		return err
	}
	now, err := size.Weigh(l.Env, root)
	if err != nil {
		return err
	}
	l.t.AtMost("sections of the ARMv6 agent, more than in "+before, float64(now.Sum()-was.Sum())/1000, grown, "kB")
	var most []string
	for _, g := range now.Groups() {
		if now[g]-was[g] > 1000 {
			most = append(most, g)
		}
	}
	l.t.Say("What has grown by more than 1 kB: %s.", strings.Join(most, ", "))
	return nil
}

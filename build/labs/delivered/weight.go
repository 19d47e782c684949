package delivered

import "github.com/linkbeat/linkbeat/build/tools/size"

// size weighs what all of this has cost.
func (l lab) size() error {
	b, err := size.ReadBudgets()
	if err != nil {
		return err
	}
	return b.BeforeStep8.Judge(l.Env, l.t, true)
}

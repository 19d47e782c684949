package hostile

import "github.com/linkbeat/linkbeat/build/tools/size"

// size weighs what keeping strangers out has cost.
func (l lab) size() error {
	b, err := size.ReadBudgets()
	if err != nil {
		return err
	}
	return b.BeforeStep7.Judge(l.Env, l.t, true)
}

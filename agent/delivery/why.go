package delivery

import "strings"

// doubt is the sentence of Doubt; mu is held.
func (k *Keeper) doubt(p *page) string {
	_, doubts := p.sorts()
	if len(doubts) == 0 {
		return ""
	}
	return k.o.Advice.at(k.login).doubt(doubts, k.user, p.entries[doubts[0].Topic].why)
}

// Why is what is denied at the server in use, or that commands may not arrive, in a sentence; empty: nothing.
func (k *Keeper) Why() string {
	b, _ := k.backlog()
	k.mu.Lock()
	defer k.mu.Unlock()
	p, a := k.pages[k.login], k.o.Advice.at(k.login)
	if p == nil {
		return ""
	}
	var all []string
	if denied, _ := p.sorts(); len(denied) > 0 {
		all = append(all, a.denied(denied, k.user, k.fill.sentence(denied, b, k.o.Now())))
	}
	if probe := p.mute(); probe != nil {
		all = append(all, a.mute(*probe, k.user))
	}
	return strings.Join(all, "; ")
}

// Doubt says that nobody can tell what becomes of some topics, in a sentence; empty: there is no reason to.
func (k *Keeper) Doubt() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.pages[k.login]
	if p == nil {
		return ""
	}
	if doubt := k.doubt(p); doubt != "" {
		return doubt
	}
	return k.unheard(p)
}

// Verdicts are the worst of each class of topics, at the server in use; nil: nothing is known yet.
func (k *Keeper) Verdicts() map[string]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.pages[k.login]; p != nil {
		return p.classes()
	}
	return nil
}

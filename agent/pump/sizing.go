package pump

import (
	"context"
	"fmt"

	"github.com/linkbeat/linkbeat/agent/delivery"
)

// tooLargeError is why a record goes into quarantine that is larger than what the server takes.
type tooLargeError struct {
	server string
	most   int // bytes of payload, about
}

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("the server at %s takes at most about %d bytes per message", e.server, e.most)
}

// sizing is what the pump does because of the sizes that a server takes. Owned by the pump's loop.
type sizing struct {
	sizes  Sizes
	trying *publish // tried beside the link; out of its spool until it is known what came of it
	limit  int      // of Sizes when it was looked at
}

// fits tells whether next may be sent. If not it was given back to its spool, given up, or is being tried.
func (p *Pump) fits(next *publish) bool {
	if p.sizing.sizes == nil {
		return true
	}
	switch p.sizing.sizes.Size(next.message) {
	case delivery.Waits:
		next.giveBack()
	case delivery.Tries:
		if p.sizing.trying != nil { // that of another pump
			next.giveBack()
			break
		}
		p.sizing.trying = next
	case delivery.TooLarge:
		p.tooLarge(next)
	default:
		return true
	}
	return false
}

// tried is called when it may be known what came of the message that is tried.
func (p *Pump) tried(ctx context.Context) {
	next := p.sizing.trying
	if next == nil {
		return
	}
	fate, known := p.sizing.sizes.Outcome()
	if !known {
		return
	}
	p.sizing.trying, p.recheck = nil, true // what waited for it may go
	switch fate {
	case delivery.Delivered:
		p.commit([]*publish{next})
	case delivery.TooLarge:
		p.tooLarge(next)
	default:
		p.send(ctx, next)
	}
}

// tooLarge makes smaller batches of what is one; a record that is too large alone is given up.
func (p *Pump) tooLarge(next *publish) {
	if len(next.positions) > 1 {
		next.lane.most[next.stream] = max(1, next.size/2)
		next.giveBack()
		p.recheck = true
		return
	}
	most, server := p.sizing.sizes.Limit()
	p.poison(next, &tooLargeError{server, most})
}

// resized has batches grow again when the server is not known to refuse what it refused.
func (p *Pump) resized() {
	if p.sizing.sizes == nil {
		return
	}
	limit, _ := p.sizing.sizes.Limit()
	if p.sizing.limit > 0 && limit == 0 {
		for _, l := range p.lanes {
			clear(l.most)
		}
	}
	p.sizing.limit = limit
}

// giveBack has the records wait in their spool as if they had been passed over.
func (b *publish) giveBack() { b.lane.old.reader.Return(b.positions...) }

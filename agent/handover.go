package agent

import "context"

// settleFlight waits for what is in flight, and sends nothing more: another pump goes on with what waits in the spools, and would
// send again what it does not know to have arrived.
func (p *pump) settleFlight(ctx context.Context) {
	for ctx.Err() == nil && p.session != nil && len(p.out) > 0 {
		p.await(ctx, p.oldest(), p.wake())
		p.settle()
	}
}

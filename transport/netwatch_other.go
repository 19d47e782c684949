//go:build !linux

package transport

import "context"

// watchNetwork watches nothing: only Linux has rtnetlink.
func watchNetwork(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return nil
}

//go:build !linux

package netdial

import "context"

// Watch watches nothing: only Linux has rtnetlink.
func Watch(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return nil
}

package main

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/agent/printable"
)

// What completion offers is asked of the broker, if the environment or the flags name one. A shell waits for it, so it is
// given up soon, and then offers nothing.
const (
	completeWithin = 2 * time.Second
	completeSettle = 200 * time.Millisecond
)

func (b *broker) gateways(cmd *cobra.Command) []operator.Device {
	if b.fillIn(cmd) != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), completeWithin)
	defer cancel()
	devices, err := operator.Devices(ctx, b.o, completeSettle)
	if err != nil {
		return nil
	}
	return devices
}

// deviceIDs lists the gateways that the broker knows of.
func (b *broker) deviceIDs(cmd *cobra.Command, _ []string) (ids []string) {
	for _, d := range b.gateways(cmd) {
		ids = append(ids, d.ID)
	}
	return shown(ids)
}

// serialNames lists the serial devices of the gateway args[0].
func (b *broker) serialNames(cmd *cobra.Command, args []string) []string {
	for _, d := range b.gateways(cmd) {
		if d.ID == args[0] && d.Info != nil {
			return shown(slices.Sorted(maps.Keys(d.Info.Ports)))
		}
	}
	return nil
}

// shown leaves out what is not shown as itself: it would be another name that a shell puts in, or no name at all.
func shown(names []string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return printable.Bad(name) != "" })
}

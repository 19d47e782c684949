package agent

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/firmware-bridge/discover"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
	"github.com/linkbeat/linkbeat/transport"
)

// TopicsOf are the topics that the gateway publishes to, but for its state, each with the same topic of the gateway other: what a
// diagnosis asks a server about.
func TopicsOf(d *config.Document, id string) func(other string) []transport.EchoTopic {
	return func(other string) (all []transport.EchoTopic) {
		state := topicsOf(d, id).State
		for _, t := range topicsUsed(d, topicsOf(d, id), topicsOf(d, other)) {
			if t.Topic != state {
				all = append(all, t)
			}
		}
		return all
	}
}

// PortsOf looks at the port of each serial device, without opening one, as that resets a device; nil: nothing is wrong with it,
// as far as can be told. A serial server is not asked: many serve one client.
func PortsOf(d *config.Document) map[string]error {
	finder, all := discover.NewFinder(discover.FinderOptions{}), map[string]error{}
	for name, o := range devicesOf(d) {
		path, err := o.bridge.Port, error(nil)
		if !o.bridge.Select.IsZero() {
			path, err = finder.Find(o.bridge.Select)
		}
		if err == nil && !serialport.IsNetwork(path) {
			err = openable(path)
		}
		all[name] = err
	}
	return all
}

// openable says why a port cannot be opened by this user.
func openable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", path, err.(*fs.PathError).Err)
	case info.Mode()&fs.ModeCharDevice == 0:
		return fmt.Errorf("%s is no serial port", path)
	}
	const readWrite = 6 // R_OK|W_OK
	if err := syscall.Access(path, readWrite); err != nil {
		return fmt.Errorf("%s: %w for this user", path, err)
	}
	return nil
}

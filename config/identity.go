package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/linkbeat/linkbeat/transport/capped"
)

// Host is the machine as far as its name depends on it.
type Host struct {
	Hostname func() (string, error) // if nil, os.Hostname
	Net      fs.FS                  // /sys/class/net; if nil, the machine's own
}

const addressMax = 1 << 10 // bytes of what the kernel says of a card

// ErrNoMAC is returned when no network interface has a device behind it.
var ErrNoMAC = errors.New("no network interface with a device behind it: set device.id")

// MAC6 is the last 6 hex digits of the MAC of the first interface, by name, with a device behind it. net is
// /sys/class/net: an interface that is not virtual has an entry "device" there.
func MAC6(net fs.FS) (string, error) {
	entries, err := fs.ReadDir(net, ".")
	if err != nil {
		return "", fmt.Errorf("network interfaces: %w", err)
	}
	for _, e := range entries {
		if _, err := fs.Stat(net, e.Name()+"/device"); err != nil {
			continue
		}
		address, err := capped.ReadFS(net, e.Name()+"/address", addressMax)
		if err != nil {
			continue
		}
		if mac := bytes.ToLower(bytes.ReplaceAll(bytes.TrimSpace(address), []byte(":"), nil)); usableMAC(string(mac)) {
			return string(mac[6:]), nil
		}
	}
	return "", ErrNoMAC
}

// usableMAC wants 48 bits, not all of them zero (a point-to-point modem has none).
func usableMAC(mac string) bool {
	return len(mac) == 12 && strings.Trim(mac, "0123456789abcdef") == "" && strings.Trim(mac, "0") != ""
}

// ResolveID is device.id with {hostname} and {mac6} filled in. The MAC is looked up at the first start and kept in the
// store, so that another network card does not make another gateway. When it cannot be kept the id is valid all the same
// and the error, which wraps [ErrNotKept], says so. store may be nil.
func (d *Document) ResolveID(h Host, store *Store) (string, error) {
	id := d.Device.ID
	if strings.Contains(id, "{hostname}") {
		hostname := h.Hostname
		if hostname == nil {
			hostname = os.Hostname
		}
		name, err := hostname()
		if err != nil {
			return "", fmt.Errorf("device.id: host name: %w", err)
		}
		id = strings.ReplaceAll(id, "{hostname}", name)
	}
	var notKept error
	if strings.Contains(id, "{mac6}") {
		mac, err := keptMAC6(h, store)
		if err != nil && !errors.Is(err, ErrNotKept) {
			return "", fmt.Errorf("device.id: %w", err)
		}
		notKept = err
		id = strings.ReplaceAll(id, "{mac6}", mac)
	}
	if err := checkLevel(id); err != nil {
		return "", fmt.Errorf("device.id: %q %w: set device.id", id, err)
	}
	return id, notKept
}

func keptMAC6(h Host, store *Store) (string, error) {
	var unread error
	if store != nil {
		mac, err := store.mac6()
		if err == nil {
			return mac, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			unread = fmt.Errorf("the old identity %w: %w", ErrNotKept, err)
		}
	}
	net := h.Net
	if net == nil {
		net = os.DirFS("/sys/class/net")
	}
	mac, err := MAC6(net)
	if err != nil || store == nil {
		return mac, err
	}
	err = store.keepMAC6(mac)
	if unread != nil && err != nil {
		return mac, fmt.Errorf("%w; %w", unread, err) // it is said in one line
	}
	return mac, errors.Join(unread, err)
}

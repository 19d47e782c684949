package ports

import (
	"fmt"
	"os"
	"path/filepath"
)

// tree is a folder that stands for /sys and one that stands for /dev.
type tree struct{ sys, dev string }

func newTree(dir string) (*tree, error) {
	t := &tree{filepath.Join(dir, "sys"), filepath.Join(dir, "dev")}
	for _, d := range []string{filepath.Join(t.sys, "class/tty"), t.dev} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// plug adds an FTDI adapter: the tty that the kernel would have called name is target.
func (t *tree) plug(name, serial, target string) error {
	usb := "devices/pci0000:00/0000:00:14.0/usb1/1-" + serial
	port := filepath.Join(usb, "1-"+serial+":1.0", name)
	tty := filepath.Join(port, "tty", name)
	if err := os.MkdirAll(filepath.Join(t.sys, tty), 0o755); err != nil {
		return err
	}
	for file, text := range map[string]string{usb + "/idVendor": "0403", usb + "/idProduct": "6001", usb + "/serial": serial,
		usb + "/1-" + serial + ":1.0/bInterfaceNumber": "00"} {
		if err := os.WriteFile(filepath.Join(t.sys, file), []byte(text+"\n"), 0o644); err != nil {
			return err
		}
	}
	if err := os.Symlink("../../../"+name, filepath.Join(t.sys, tty, "device")); err != nil {
		return err
	}
	if err := os.Symlink(target, filepath.Join(t.dev, name)); err != nil {
		return err
	}
	return os.Symlink("../../"+tty, filepath.Join(t.sys, "class/tty", name)) // last: now it is listed
}

func (t *tree) unplug(name, serial string) error {
	for _, gone := range []string{filepath.Join(t.sys, "class/tty", name), filepath.Join(t.dev, name)} {
		if err := os.Remove(gone); err != nil {
			return err
		}
	}
	return os.RemoveAll(filepath.Join(t.sys, "devices/pci0000:00/0000:00:14.0/usb1/1-"+serial))
}

// tell makes the kernel send a uevent of subsystem tty, as it does for a real adapter. Only root can.
func tell() error {
	if err := os.WriteFile("/sys/class/tty/tty/uevent", []byte("change"), 0); err != nil {
		return fmt.Errorf("uevent: %w", err)
	}
	return nil
}

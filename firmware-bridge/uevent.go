package bridge

import "strings"

// uevent is one message of the kernel about a device.
type uevent struct{ action, subsystem string }

// parseUevent reads a message of NETLINK_KOBJECT_UEVENT (lib/kobject_uevent.c):
//
//	add@/devices/…/ttyUSB0 NUL ACTION=add NUL DEVPATH=/devices/… NUL SUBSYSTEM=tty NUL … SEQNUM=4711 NUL
func parseUevent(p []byte) (e uevent) {
	for field := range strings.SplitSeq(string(p), "\x00") {
		if v, ok := strings.CutPrefix(field, "ACTION="); ok {
			e.action = v
		}
		if v, ok := strings.CutPrefix(field, "SUBSYSTEM="); ok {
			e.subsystem = v
		}
	}
	return e
}

// aboutPorts is true when the list of ports may be another now. "bind" comes when the driver is there; an empty one stands for
// messages that got lost.
func (e uevent) aboutPorts() bool {
	return e == uevent{} || e.subsystem == "tty" || e.subsystem == "usb-serial"
}

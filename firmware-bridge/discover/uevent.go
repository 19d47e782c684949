package discover

import "strings"

// Uevent is one message of the kernel about a device: what happened ("add", "remove", "change", "bind"), and to which kind of
// device ("tty").
type Uevent struct{ Action, Subsystem string }

// parseUevent reads a message of NETLINK_KOBJECT_UEVENT (lib/kobject_uevent.c):
//
//	add@/devices/…/ttyUSB0 NUL ACTION=add NUL DEVPATH=/devices/… NUL SUBSYSTEM=tty NUL … SEQNUM=4711 NUL
func parseUevent(p []byte) (e Uevent) {
	for field := range strings.SplitSeq(string(p), "\x00") {
		if v, ok := strings.CutPrefix(field, "ACTION="); ok {
			e.Action = v
		}
		if v, ok := strings.CutPrefix(field, "SUBSYSTEM="); ok {
			e.Subsystem = v
		}
	}
	return e
}

// aboutPorts is true when the list of ports may have changed. "bind" comes when the driver is there; an empty one stands for
// messages that were lost.
func (e Uevent) aboutPorts() bool {
	return e == Uevent{} || e.Subsystem == "tty" || e.Subsystem == "usb-serial"
}

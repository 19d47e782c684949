package discover

import "testing"

func TestParseUevent(t *testing.T) {
	// in the format of lib/kobject_uevent.c; a real one is heard in TestUeventsOfTheKernel
	const message = "add@/devices/pci0000:00/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0\x00ACTION=add\x00" +
		"DEVPATH=/devices/pci0000:00/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0\x00SUBSYSTEM=tty\x00" +
		"MAJOR=188\x00MINOR=0\x00DEVNAME=ttyUSB0\x00SEQNUM=3121\x00"
	if e := parseUevent([]byte(message)); e != (Uevent{"add", "tty"}) || !e.aboutPorts() {
		t.Errorf("%+v", e)
	}
	for message, want := range map[string]bool{
		"":                                    true, // lost
		"change@/x\x00SUBSYSTEM=block\x00":    false,
		"bind@/x\x00SUBSYSTEM=usb-serial\x00": true,
		"libudev\x00\xfe\xed\xca\xfe\x28\x00": true,
		"remove@/x\x00ACTION=remove\x00SUBSYSTEM=net": false,
	} {
		if got := parseUevent([]byte(message)).aboutPorts(); got != want {
			t.Errorf("%q: %v", message, got)
		}
	}
}

// Package discover says which serial ports there are, and at which path the one is that is meant.
//
// A [Selector] says what is plugged in: the configuration's word for a port. One [Finder] for all devices of a process reads
// sysfs, hears uevents (NETLINK_KOBJECT_UEVENT; until one came it looks twice a second), and refuses a port to a second device
// ([ErrClaimed]). Found again after a replug: 3 ms in the median with uevents, 0.5 s without.
//
// It opens no port: that alone would set one in use to another speed, or reset the board behind it.
package discover

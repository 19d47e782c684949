// Package discover lists serial ports, and finds the path of the one that is meant.
//
// A [Selector] is the configuration's description of a port: what is plugged in, or where. One [Finder] for all devices of a
// process reads sysfs, receives uevents (NETLINK_KOBJECT_UEVENT; until the first one it reads sysfs twice a second), and
// refuses a port to a second device ([ErrClaimed]). A port that was plugged in again is found in 3 ms in the median with
// uevents, in 0.5 s without.
//
// It opens no port: even that could change the speed of one that is in use, or reset the board behind it.
package discover

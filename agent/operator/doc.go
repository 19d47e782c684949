// Package operator is what linkbeatctl does: look at a fleet through its broker, and speak to one device of it.
//
//	Devices   who is online, from the retained birth and last will of each gateway
//	Tail      live data, duplicates dropped, gaps reported
//	Send      a write, and the reply to it
//	Console   a serial port here: a terminal, or a pseudo-terminal (package tty)
//	Tap       what goes over a port
//	ACL       the access rules that a broker needs for gateways; it connects to no broker
//
// Each other call connects by itself (a transport.Link with a clean session and an id of its own) and subscribes to what it
// needs. Nothing here needs rights that a gateway's own topics do not name. The program around it is flags and exit codes.
package operator

// Package demo runs the main job in front of a person, on a machine with nothing but the two programs:
//
//	recording ─▶ pseudo-terminal ─▶ linkbeat ─▶ carrier NAT ─▶ broker ─▶ this program
//	             (creack/pty)      (the real   (user space,   (mochi-mqtt,
//	                                program)    loopback)      in this process)
//
// It tells what happens as it happens, and at the end whether each frame of the device arrived once. linkbeat never imports
// this package; the broker in it is for demonstrations.
package demo

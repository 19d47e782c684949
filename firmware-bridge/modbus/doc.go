// Package modbus is the part of a Modbus master that needs no port and no clock: what goes on the line, what comes back, what
// the registers mean, which of them are read together, and whose turn it is.
//
//	registers → Plan → blocks → PDU → Protocol.Append → the line → Protocol.Find → Data → Block.Cut → Register.Decode → Value
//	                                     Schedule: Next says which unit is read now, Answered and Silent hear how it went
//
// It is pure: now comes in, a deadline or an action goes out; no clock, goroutine, lock or socket.
//
// # Sources
//
// MODBUS Application Protocol Specification V1.1b3 (below: APP) for functions and exceptions; MODBUS over Serial Line V1.02
// (below: SERIAL) for RTU, ASCII and their times; MODBUS Messaging on TCP/IP V1.0b (below: TCP) for the header of TCP.
//
// # Limits
//
// An answer in RTU and ASCII carries no number of its request. One that comes after its timeout is taken for noise, unless the
// next request asks the same unit with the same function for as many registers; the master leaves a silence before each request,
// and a unit whose answers are late should have a longer timeout. Broadcasts (unit 0 on a serial line) are not sent.
package modbus

// Package modbus is the part of a Modbus master that needs no port and no clock: what goes on the line, what comes back, what
// the registers mean, which of them are read together, and whose turn it is.
//
//	registers → Plan → blocks → PDU → Protocol.Append → the line → Protocol.Find → Data → Block.Cut → Register.Decode → Value
//	                Schedule: Next says which unit is read now; Heard, Answered and Silent hear how it went; who must Rest is not asked
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
// An answer in RTU and ASCII carries no number of its request. After a timeout nothing is asked of that unit for as long again, at least
// the timeout of the bus, at most four ([Schedule.Rest]), so that an answer which is late by less than that is taken for the noise that
// it is; what comes later still, and could be that to another request, is taken for nothing ([Doubt]). With one lag, or one that changes
// by less than a timeout, no answer is mixed up; with lags drawn from 0 to 5 s for each answer one in some hours was, in bubbles of fake
// time. Broadcasts (unit 0 on a serial line) are not sent.
package modbus

// Package modbus is the part of a Modbus master that needs no port and no clock: what goes on the line, what comes back, what
// the registers mean, which of them are read together, and whose turn it is.
//
//	registers → Plan → blocks → PDU → Protocol.Append → the line → Protocol.Find → Data → Block.Cut → Register.Decode → Value
//	Schedule: Next says which unit is read now; Heard, Answered and Unanswered are told how it went;
//	          in its Cooldown a unit is not asked
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
// An answer in RTU and ASCII carries no number of its request. So after a timeout a unit is asked nothing for as long again, at
// least for the timeout of the bus, at most for four of them ([Schedule.Cooldown]): an answer that is late by less than that is
// noise. An answer that comes even later, and could be the one to another request, is dropped ([Stale]). If a unit is late
// always by the same, or by what changes by less than a timeout, no answer is mixed up. With delays drawn from 0 to 5 s for
// each answer, in tests with fake time, one in some hours was. Broadcasts (unit 0 on a serial line) are not sent.
package modbus

// A Modbus slave with holding registers: functions 3, 6 and 16, exceptions 1, 2 and 3. Pure.
#ifndef MODBUS_H
#define MODBUS_H

#include <stddef.h>
#include <stdint.h>

enum { REGISTERS = 16, MODBUS_FRAME = 256 };

struct modbus {
	uint8_t unit;
	uint16_t holding[REGISTERS];
	uint16_t max[REGISTERS]; // the most that may be written; 0: read only
};

// whole is true when p is all of a request that tells its own length; others end by silence.
int modbus_whole(const uint8_t *p, size_t n);
// answer carries out the request p, address and checksum included, and writes the answer to out, for which MODBUS_FRAME bytes must
// be there. It returns the answer's length, 0 when nothing is to be said.
size_t modbus_answer(struct modbus *m, const uint8_t *p, size_t n, uint8_t *out);

#endif

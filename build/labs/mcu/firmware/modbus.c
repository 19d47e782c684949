#include "modbus.h"

#include "frame.h"

enum { READ = 3, WRITE = 6, WRITE_MANY = 16, EXCEPTION = 0x80 };
enum { ILLEGAL_FUNCTION = 1, ILLEGAL_ADDRESS = 2, ILLEGAL_VALUE = 3 };
enum { BROADCAST = 0, MOST_READ = 125, MOST_WRITTEN = 123 };

static uint16_t be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }

static void put16(uint8_t *p, uint16_t v) {
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

int modbus_whole(const uint8_t *p, size_t n) {
	if (n < 8)
		return 0;
	switch (p[1]) {
	case READ:
	case WRITE:
		return n == 8;
	case WRITE_MANY:
		return n == 9u + p[6];
	}
	return 0;
}

// There is such a range of registers.
static int there(uint16_t first, uint16_t count) { return count > 0 && first < REGISTERS && count <= REGISTERS - first; }

// write is all or nothing.
static int write(struct modbus *m, uint16_t first, uint16_t count, const uint8_t *words) {
	if (!there(first, count))
		return ILLEGAL_ADDRESS;
	for (uint16_t i = 0; i < count; i++)
		if (!m->max[first + i])
			return ILLEGAL_ADDRESS;
	for (uint16_t i = 0; i < count; i++)
		if (be16(words + 2 * i) > m->max[first + i])
			return ILLEGAL_VALUE;
	for (uint16_t i = 0; i < count; i++)
		m->holding[first + i] = be16(words + 2 * i);
	return 0;
}

// pdu answers what stands between address and checksum; it returns an exception and sets the length of the answer in out.
static int pdu(struct modbus *m, const uint8_t *p, size_t n, uint8_t *out, size_t *size) {
	if (p[0] != READ && p[0] != WRITE && p[0] != WRITE_MANY)
		return ILLEGAL_FUNCTION;
	if (n < 5)
		return ILLEGAL_VALUE;
	uint16_t first = be16(p + 1), count = be16(p + 3);
	int fault;
	switch (p[0]) {
	case READ:
		if (n != 5 || count < 1 || count > MOST_READ)
			return ILLEGAL_VALUE;
		if (!there(first, count))
			return ILLEGAL_ADDRESS;
		out[1] = (uint8_t)(2 * count);
		for (uint16_t i = 0; i < count; i++)
			put16(out + 2 + 2 * i, m->holding[first + i]);
		*size = 2u + out[1];
		return 0;
	case WRITE:
		if (n != 5)
			return ILLEGAL_VALUE;
		fault = write(m, first, 1, p + 3);
		break;
	default:
		if (n < 6 || count < 1 || count > MOST_WRITTEN || p[5] != 2 * count || n != 6u + p[5])
			return ILLEGAL_VALUE;
		fault = write(m, first, count, p + 6);
	}
	for (int i = 1; i < 5; i++) // address and value, or address and count
		out[i] = p[i];
	*size = 5;
	return fault;
}

size_t modbus_answer(struct modbus *m, const uint8_t *p, size_t n, uint8_t *out) {
	if (n < 4 || (p[0] != m->unit && p[0] != BROADCAST))
		return 0;
	uint16_t crc = crc16_modbus(p, n - 2);
	if (p[n - 2] != (uint8_t)crc || p[n - 1] != crc >> 8)
		return 0;
	size_t size = 0;
	int fault = pdu(m, p + 1, n - 3, out + 1, &size);
	if (p[0] == BROADCAST)
		return 0;
	out[0] = m->unit;
	out[1] = p[1];
	if (fault) {
		out[1] |= EXCEPTION;
		out[2] = (uint8_t)fault;
		size = 2;
	}
	crc = crc16_modbus(out, size + 1);
	out[size + 1] = (uint8_t)crc;
	out[size + 2] = (uint8_t)(crc >> 8);
	return size + 3;
}

// What goes on a line: checksums, COBS, SLIP and sentences. Pure; it shares nothing with linkbeat's own.
#ifndef FRAME_H
#define FRAME_H

#include <stddef.h>
#include <stdint.h>

// CRC-16/MODBUS: 0x8005 reflected, from 0xffff. The low byte goes first.
uint16_t crc16_modbus(const uint8_t *p, size_t n);
// CRC-16/IBM-3740, "CCITT": 0x1021 from 0xffff. The high byte goes first.
uint16_t crc16_ccitt(const uint8_t *p, size_t n);

// How one kind of frames is written and read.
struct framing {
	uint8_t end; // the byte that ends a frame on the line
	size_t (*encode)(uint8_t *out, const uint8_t *p, size_t n); // with its end; returns the length
	int (*decode)(uint8_t *p, size_t n);                        // in place, without its end; -1: malformed
	uint16_t (*crc)(const uint8_t *p, size_t n);
	int low_first;
};

extern const struct framing framing_cobs; // with crc16_modbus
extern const struct framing framing_slip; // with crc16_ccitt

// ENCODED is the most that a payload of n bytes takes on the line.
#define ENCODED(n) (2 * ((n) + 2) + 3)

// seal appends the checksum, for which there must be room, and writes the frame to out; returns its length.
size_t frame_seal(const struct framing *f, uint8_t *out, uint8_t *payload, size_t n);
// open reads a frame in place; returns the length of its payload, -1 when it is none.
int frame_open(const struct framing *f, uint8_t *p, size_t n);

// sentence writes "$" text "*hh\r\n" and returns its length; text ends with a zero. spoil makes the checksum wrong.
size_t sentence(char *out, const char *text, int spoil);
// sentence_text is the text of a sentence without its line end, ended by a zero in place; null: its checksum is wrong.
char *sentence_text(char *line, size_t n);

#endif

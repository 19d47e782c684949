#include "frame.h"

uint16_t crc16_modbus(const uint8_t *p, size_t n) {
	uint16_t crc = 0xffff;
	while (n--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1;
	}
	return crc;
}

uint16_t crc16_ccitt(const uint8_t *p, size_t n) {
	uint16_t crc = 0xffff;
	while (n--) {
		crc ^= (uint16_t)(*p++ << 8);
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1);
	}
	return crc;
}

// As in the paper: a full block is followed by another one even when nothing is left for it.
static size_t cobs_encode(uint8_t *out, const uint8_t *p, size_t n) {
	uint8_t *code = out, *to = out + 1;
	for (size_t i = 0; i < n; i++) {
		if (p[i])
			*to++ = p[i];
		if (!p[i] || to - code == 0xff) {
			*code = (uint8_t)(to - code);
			code = to++;
		}
	}
	*code = (uint8_t)(to - code);
	*to++ = 0;
	return (size_t)(to - out);
}

static int cobs_decode(uint8_t *p, size_t n) {
	size_t to = 0;
	for (size_t from = 0; from < n;) {
		uint8_t code = p[from++];
		if (code == 0 || from + code - 1 > n)
			return -1;
		for (uint8_t i = 1; i < code; i++)
			p[to++] = p[from++];
		if (code != 0xff && from < n)
			p[to++] = 0;
	}
	return (int)to;
}

enum { END = 0xc0, ESC = 0xdb, ESC_END = 0xdc, ESC_ESC = 0xdd };

static size_t slip_encode(uint8_t *out, const uint8_t *p, size_t n) {
	uint8_t *to = out;
	while (n--) {
		uint8_t b = *p++;
		if (b == END || b == ESC) {
			*to++ = ESC;
			b = b == END ? ESC_END : ESC_ESC;
		}
		*to++ = b;
	}
	*to++ = END;
	return (size_t)(to - out);
}

static int slip_decode(uint8_t *p, size_t n) {
	size_t to = 0;
	for (size_t i = 0; i < n; i++) {
		uint8_t b = p[i];
		if (b == ESC) {
			if (++i == n || (p[i] != ESC_END && p[i] != ESC_ESC))
				return -1;
			b = p[i] == ESC_END ? END : ESC;
		}
		p[to++] = b;
	}
	return (int)to;
}

const struct framing framing_cobs = {0x00, cobs_encode, cobs_decode, crc16_modbus, 1};
const struct framing framing_slip = {END, slip_encode, slip_decode, crc16_ccitt, 0};

size_t frame_seal(const struct framing *f, uint8_t *out, uint8_t *payload, size_t n) {
	uint16_t crc = f->crc(payload, n);
	payload[n] = (uint8_t)(f->low_first ? crc : crc >> 8);
	payload[n + 1] = (uint8_t)(f->low_first ? crc >> 8 : crc);
	return f->encode(out, payload, n + 2);
}

int frame_open(const struct framing *f, uint8_t *p, size_t n) {
	int size = f->decode(p, n);
	if (size < 3)
		return -1;
	uint8_t a = p[size - 2], b = p[size - 1];
	uint16_t crc = (uint16_t)(f->low_first ? b << 8 | a : a << 8 | b);
	return crc == f->crc(p, (size_t)size - 2) ? size - 2 : -1;
}

size_t sentence(char *out, const char *text, int spoil) {
	static const char digits[] = "0123456789ABCDEF";
	char *to = out;
	uint8_t sum = spoil ? 0x55 : 0;
	*to++ = '$';
	for (; *text; text++) {
		sum ^= (uint8_t)*text;
		*to++ = *text;
	}
	*to++ = '*';
	*to++ = digits[sum >> 4];
	*to++ = digits[sum & 15];
	*to++ = '\r';
	*to++ = '\n';
	return (size_t)(to - out);
}

static int digit(char c) {
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

char *sentence_text(char *line, size_t n) {
	if (n < 5 || line[0] != '$' || line[n - 3] != '*')
		return NULL;
	uint8_t sum = 0;
	for (size_t i = 1; i < n - 3; i++)
		sum ^= (uint8_t)line[i];
	int high = digit(line[n - 2]), low = digit(line[n - 1]);
	if (high < 0 || low < 0 || (high << 4 | low) != sum)
		return NULL;
	line[n - 3] = 0;
	return line + 1;
}

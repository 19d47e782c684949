// The pure parts as a filter on this machine, for a test: a record in, a record out. A record is a byte that says what, a length of
// two bytes, high first, and the bytes; the answer is a length and the bytes, or ffff for "refused".
//   'c' 's'  opens a frame of COBS, of SLIP, without its end      'C' 'S'  seals a payload, with the end of the frame
//   'n'      opens a sentence without its line end                'N'      makes a sentence of a text
//   'm'      answers a Modbus request; the registers stay
#include <stdio.h>
#include <string.h>

#include "frame.h"
#include "modbus.h"

enum { MOST = 4096 };

static struct modbus slave = {.unit = 17};

static int work(int what, uint8_t *in, size_t n, uint8_t *out) {
	const struct framing *how = what == 'c' || what == 'C' ? &framing_cobs : &framing_slip;
	int size;
	char *text;
	switch (what) {
	case 'c':
	case 's':
		size = frame_open(how, in, n);
		if (size > 0)
			memcpy(out, in, (size_t)size);
		return size;
	case 'C':
	case 'S':
		return (int)frame_seal(how, out, in, n);
	case 'n':
		text = sentence_text((char *)in, n);
		return text ? sprintf((char *)out, "%s", text) : -1;
	case 'N':
		in[n] = 0;
		return (int)sentence((char *)out, (char *)in, 0);
	case 'm':
		return (int)modbus_answer(&slave, in, n, out);
	}
	return -1;
}

int main(void) {
	static uint8_t in[MOST + 8], out[ENCODED(MOST)];
	for (int i = 4; i < REGISTERS; i++)
		slave.max[i] = 1000;
	for (;;) {
		int what = getchar(), high = getchar(), low = getchar();
		if (low == EOF)
			return 0;
		size_t n = (size_t)(high << 8 | low);
		if (n > MOST || fread(in, 1, n, stdin) != n)
			return 1;
		int size = work(what, in, n, out);
		putchar(size < 0 ? 0xff : size >> 8);
		putchar(size < 0 ? 0xff : size & 0xff);
		if (size > 0)
			fwrite(out, 1, (size_t)size, stdout);
		fflush(stdout);
	}
}

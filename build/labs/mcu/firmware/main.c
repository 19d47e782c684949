// A field device on four serial lines:
//   UART0  sentences: $LBMCU,<n>,<ms since the reset>*hh, one a period, and answers to $LBSET,<name>,<value>*hh and $LBGET,<name>*hh
//   UART1  a Modbus RTU slave
//   UART2  requests in COBS frames with CRC-16/MODBUS
//   UART3  the same requests in SLIP frames with CRC-16/CCITT
#include "board.h"
#include "frame.h"
#include "modbus.h"

enum { SENTENCES, MODBUS, COBS, SLIP };

// Registers of the slave, which are also what the other lines see.
enum { R_UPTIME, R_COUNT = 2, R_LED = 4, R_PERIOD, R_FREE };

enum { UNIT = 17, PERIOD = 10, LONGEST = 10000, LEDS = 255, SILENCE = 50, PAYLOAD = 1024, LINE = 96 };

static struct modbus slave = {.unit = UNIT};
static uint32_t sent;  // sentences of telemetry
static uint32_t spoil; // how many of them still get a wrong checksum
static uint32_t bad;   // lines and frames from the gateway that were none

static void set32(int at, uint32_t v) {
	slave.holding[at] = (uint16_t)(v >> 16);
	slave.holding[at + 1] = (uint16_t)v;
}

// Text with numbers in it, without a library.
static char *text(char *to, const char *s) {
	while (*s)
		*to++ = *s++;
	*to = 0;
	return to;
}

static char *number(char *to, uint32_t v) {
	char digits[10];
	int n = 0;
	do
		digits[n++] = (char)('0' + v % 10);
	while (v /= 10);
	while (n)
		*to++ = digits[--n];
	*to = 0;
	return to;
}

static void say(const char *what, int wrong) {
	char out[LINE + 8];
	uart_put(SENTENCES, out, sentence(out, what, wrong));
}

static void telemetry(void) {
	static uint32_t due;
	uint32_t now = board_ms(), period = slave.holding[R_PERIOD];
	set32(R_UPTIME, now);
	if (!period || (int32_t)(due - now) > (int32_t)period) // silent, or the period was made shorter
		due = now;
	if (!period || (int32_t)(now - due) < 0)
		return;
	due += period;
	char line[LINE], *to = text(line, "LBMCU,");
	to = number(to, ++sent);
	to = text(to, ",");
	number(to, now);
	say(line, spoil > 0);
	spoil -= spoil > 0;
	set32(R_COUNT, sent);
}

// after is what follows a word in s, null when s does not begin with it.
static const char *after(const char *s, const char *word) {
	while (*word)
		if (*s++ != *word++)
			return NULL;
	return s;
}

static int same(const char *s, const char *word) {
	s = after(s, word);
	return s && !*s;
}

static int parse(const char *s, uint32_t *v) {
	*v = 0;
	if (!*s)
		return 0;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || *v > 100000)
			return 0;
		*v = *v * 10 + (uint32_t)(*s - '0');
	}
	return 1;
}

// crash ends in the middle of a sentence.
static void crash(void) {
	char out[LINE];
	uart_put(SENTENCES, out, sentence(out, "LBMCU,0,TORN", 0) / 2);
	board_hang();
}

static int set(const char *what) {
	const char *value;
	uint32_t v;
	if ((value = after(what, "LED,")) && parse(value, &v) && v <= LEDS)
		slave.holding[R_LED] = (uint16_t)v;
	else if ((value = after(what, "PERIOD,")) && parse(value, &v) && v <= LONGEST)
		slave.holding[R_PERIOD] = (uint16_t)v;
	else if ((value = after(what, "SPOIL,")) && parse(value, &v))
		spoil = v;
	else if (same(what, "CRASH,1"))
		crash();
	else
		return 0;
	return 1;
}

static int get(const char *what, uint32_t *v) {
	if (same(what, "LED"))
		*v = slave.holding[R_LED];
	else if (same(what, "PERIOD"))
		*v = slave.holding[R_PERIOD];
	else if (same(what, "COUNT"))
		*v = sent;
	else if (same(what, "BAD"))
		*v = bad;
	else
		return 0;
	return 1;
}

static void command(char *line, size_t n) {
	char out[LINE], *to;
	const char *rest;
	uint32_t v;
	char *what = sentence_text(line, n);
	if (!what) {
		bad++;
		say("LBNAK,SUM", 0);
	} else if ((rest = after(what, "LBSET,")) && set(rest)) {
		text(text(out, "LBACK,"), rest);
		say(out, 0);
	} else if ((rest = after(what, "LBGET,")) && get(rest, &v)) {
		to = text(text(text(out, "LBVAL,"), rest), ",");
		number(to, v);
		say(out, 0);
	} else {
		say("LBNAK,WHAT", 0);
	}
}

static void sentences_in(uint8_t b) {
	static char line[LINE / 2]; // so that an answer that repeats it has room
	static size_t n;
	if (b == '\n') {
		if (n && line[n - 1] == '\r')
			n--;
		if (n)
			command(line, n);
		n = 0;
	} else if (n < sizeof line) {
		line[n++] = (char)b;
	}
}

static uint8_t request[MODBUS_FRAME];
static size_t requested;

static void modbus_end(void) {
	uint8_t out[MODBUS_FRAME];
	size_t size = modbus_answer(&slave, request, requested, out);
	requested = 0;
	uart_put(MODBUS, out, size);
}

static void modbus_in(uint8_t b) {
	if (requested < sizeof request)
		request[requested++] = b;
	if (modbus_whole(request, requested))
		modbus_end();
}

// What does not tell its length ends by silence: of the line, not of this loop, which a long answer elsewhere may hold up. It is longer
// than 3.5 characters, because qemu delivers bytes when it has the time.
static void modbus_silence(void) {
	uint32_t heard = uart_heard(MODBUS); // before the look at the clock: a byte may come in between
	if (requested && board_ms() - heard > SILENCE)
		modbus_end();
}

// framed is a line with frames of requests. The first byte of one says what it is:
//   'E' …      the same again            'C'         how many requests there were: 4 bytes, high first
//   'S' hi lo  sets a value of 16 bits   'G'         that value
//   'B'        how many frames were bad  else        '?' and that byte
struct framed {
	const struct framing *how;
	int uart;
	uint8_t in[ENCODED(PAYLOAD)];
	size_t n;
	uint32_t count, bad;
	uint16_t value;
};

static struct framed lines[] = {{.how = &framing_cobs, .uart = COBS}, {.how = &framing_slip, .uart = SLIP}};

static size_t put32(uint8_t *p, uint32_t v) {
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
	return 4;
}

// answer changes the request p into its answer and returns the new length.
static size_t answer(struct framed *f, uint8_t *p, size_t n) {
	f->count++;
	switch (p[0]) {
	case 'E':
		return n;
	case 'C':
		return 1 + put32(p + 1, f->count);
	case 'B':
		return 1 + put32(p + 1, f->bad);
	case 'S':
		if (n != 3)
			break;
		f->value = (uint16_t)(p[1] << 8 | p[2]);
		return n;
	case 'G':
		p[1] = (uint8_t)(f->value >> 8);
		p[2] = (uint8_t)f->value;
		return 3;
	}
	p[1] = p[0];
	p[0] = '?';
	return 2;
}

static void framed_in(struct framed *f, uint8_t b) {
	static uint8_t out[ENCODED(PAYLOAD)];
	if (b != f->how->end) {
		if (f->n < sizeof f->in)
			f->in[f->n++] = b;
		return;
	}
	size_t n = f->n;
	f->n = 0;
	if (n == 0)
		return;
	int size = frame_open(f->how, f->in, n);
	if (size < 0 || size > PAYLOAD) {
		f->bad++;
		return;
	}
	uart_put(f->uart, out, frame_seal(f->how, out, f->in, answer(f, f->in, (size_t)size)));
}

int main(void) {
	slave.holding[R_PERIOD] = PERIOD;
	slave.max[R_LED] = LEDS;
	slave.max[R_PERIOD] = LONGEST;
	for (int i = R_FREE; i < REGISTERS; i++)
		slave.max[i] = 0xffff;
	board_start();
	for (;;) {
		uint8_t b;
		while (uart_get(SENTENCES, &b))
			sentences_in(b);
		while (uart_get(MODBUS, &b))
			modbus_in(b);
		for (int i = 0; i < 2; i++)
			while (uart_get(lines[i].uart, &b))
				framed_in(&lines[i], b);
		modbus_silence();
		telemetry();
		board_led((uint8_t)slave.holding[R_LED]);
		uart_pump();
		board_rest();
	}
}

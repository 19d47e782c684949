#include "board.h"

#define REG(address) (*(volatile uint32_t *)(address))

enum { CLOCK = 25000000, BAUD = 115200 };

// Arm CMSDK APB UART: one byte each way, no FIFO.
enum { DATA = 0x0, STATE = 0x4, CTRL = 0x8, INTCLEAR = 0xc, BAUDDIV = 0x10 };
enum { TX_FULL = 1, RX_FULL = 2 };      // STATE
enum { TX_ON = 1, RX_ON = 2, RX_INTERRUPT = 8 }; // CTRL
enum { RX_CLEAR = 2 };                  // INTCLEAR

static const uint32_t base[UARTS] = {0x40004000, 0x40005000, 0x40006000, 0x40007000};
static const uint8_t rx_irq[UARTS] = {0, 2, 4, 18};

#define SCC_CFG1 REG(0x4002f004) // eight LEDs
#define SYST_CSR REG(0xe000e010)
#define SYST_RVR REG(0xe000e014)
#define SYST_CVR REG(0xe000e018)
#define NVIC_ISER REG(0xe000e100)
#define NVIC_ICER REG(0xe000e180)

enum { RING = 2048 }; // a power of two

// One side only moves head, the other only tail.
struct ring {
	volatile uint32_t head, tail;
	uint8_t bytes[RING];
};

static struct ring rx[UARTS], tx[UARTS];
static volatile uint32_t now, heard[UARTS];

void on_systick(void) { now++; }

// A UART without FIFO loses what comes while the last byte is still there; so does this ring, when it is full.
static void on_rx(int u) {
	REG(base[u] + INTCLEAR) = RX_CLEAR;
	while (REG(base[u] + STATE) & RX_FULL) {
		uint8_t b = (uint8_t)REG(base[u] + DATA);
		heard[u] = now;
		struct ring *r = &rx[u];
		if (r->head - r->tail < RING) {
			r->bytes[r->head % RING] = b;
			r->head++;
		}
	}
}

void on_rx0(void) { on_rx(0); }
void on_rx1(void) { on_rx(1); }
void on_rx2(void) { on_rx(2); }
void on_rx3(void) { on_rx(3); }

void board_start(void) {
	for (int u = 0; u < UARTS; u++) {
		REG(base[u] + BAUDDIV) = CLOCK / BAUD;
		REG(base[u] + CTRL) = TX_ON | RX_ON | RX_INTERRUPT;
		NVIC_ISER = 1u << rx_irq[u];
	}
	SYST_RVR = CLOCK / 1000 - 1;
	SYST_CVR = 0;
	SYST_CSR = 7; // processor clock, interrupt, on
}

uint32_t board_ms(void) { return now; }

void board_led(uint8_t bits) { SCC_CFG1 = bits; }

int uart_get(int u, uint8_t *b) {
	struct ring *r = &rx[u];
	if (r->head == r->tail)
		return 0;
	*b = r->bytes[r->tail % RING];
	r->tail++;
	return 1;
}

uint32_t uart_heard(int u) { return heard[u]; }

void uart_pump(void) {
	for (int u = 0; u < UARTS; u++)
		for (struct ring *r = &tx[u]; r->head != r->tail && !(REG(base[u] + STATE) & TX_FULL); r->tail++)
			REG(base[u] + DATA) = r->bytes[r->tail % RING];
}

void uart_put(int u, const void *p, size_t n) {
	struct ring *r = &tx[u];
	for (const uint8_t *from = p; n; n--) {
		while (r->head - r->tail == RING)
			uart_pump();
		r->bytes[r->head % RING] = *from++;
		r->head++;
	}
	uart_pump();
}

// With interrupts masked wfi still wakes for one, so none can slip in between the look and the sleep.
void board_rest(void) {
	__asm__ volatile("cpsid i" ::: "memory");
	int idle = 1;
	for (int u = 0; u < UARTS; u++)
		idle = idle && rx[u].head == rx[u].tail;
	if (idle)
		__asm__ volatile("wfi" ::: "memory");
	__asm__ volatile("cpsie i" ::: "memory");
}

void board_hang(void) {
	for (int u = 0; u < UARTS; u++)
		while (tx[u].head != tx[u].tail)
			uart_pump();
	SYST_CSR = 0;
	NVIC_ICER = ~0u;
	for (;;)
		__asm__ volatile("wfi" ::: "memory");
}

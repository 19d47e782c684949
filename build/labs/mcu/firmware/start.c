// Reset and vectors. There is no library below this.
#include <stdint.h>

extern uint32_t stack_top[], data_from[], data_start[], data_end[], bss_start[], bss_end[];

int main(void);
void on_systick(void);
void on_rx0(void);
void on_rx1(void);
void on_rx2(void);
void on_rx3(void);

void on_reset(void) {
	uint32_t *from = data_from;
	for (uint32_t *to = data_start; to < data_end;)
		*to++ = *from++;
	for (uint32_t *to = bss_start; to < bss_end;)
		*to++ = 0;
	main();
	for (;;) {
	}
}

static void on_fault(void) {
	for (;;) { // the telemetry stops: the lab sees that
	}
}

typedef void (*vector)(void);

__attribute__((section(".vectors"), used)) static const vector vectors[16 + 19] = {
	(vector)(uintptr_t)stack_top, on_reset, on_fault, on_fault, on_fault, on_fault, on_fault,
	[11] = on_fault, on_fault, [14] = on_fault, on_systick,
	[16 + 0] = on_rx0, [16 + 2] = on_rx1, [16 + 4] = on_rx2, [16 + 18] = on_rx3,
};

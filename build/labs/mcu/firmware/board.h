// The Arm MPS2 board with the Cortex-M3 image AN385, as qemu-system-arm has it (-machine mps2-an385).
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

enum { UARTS = 4 };

void board_start(void);
uint32_t board_ms(void); // since the reset
void board_led(uint8_t bits);
// get takes a byte that came in; 0: there is none.
int uart_get(int uart, uint8_t *b);
// heard is when the last byte came in, taken or not, in board_ms.
uint32_t uart_heard(int uart);
// put sends, and waits when the ring is full.
void uart_put(int uart, const void *p, size_t n);
// pump hands to the UARTs what waits for them.
void uart_pump(void);
// rest sleeps until the next interrupt, unless a byte has come in.
void board_rest(void);
// hang sends what waits and never does anything again.
void board_hang(void);

#endif

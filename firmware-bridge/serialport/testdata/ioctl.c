// Prints what the kernel's headers say of the structs in rs485_linux.go, gpio_linux.go and icount_linux.go.
#include <linux/gpio.h>
#include <linux/serial.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static void dump(const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("%02x", ((const unsigned char *)p)[i]);
	printf("\n");
}

int main(void)
{
	struct serial_rs485 rs = {.flags = SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND, .delay_rts_before_send = 1, .delay_rts_after_send = 20};
	dump(&rs, sizeof rs);

	struct gpio_v2_line_request req;
	memset(&req, 0, sizeof req);
	req.offsets[0] = 17;
	strcpy(req.consumer, "linkbeat rs485");
	req.config.flags = GPIO_V2_LINE_FLAG_OUTPUT | GPIO_V2_LINE_FLAG_ACTIVE_LOW;
	req.num_lines = 1;
	dump(&req, sizeof req);

	struct gpio_v2_line_values values = {.bits = 1, .mask = 1};
	dump(&values, sizeof values);

	printf("%zu %zu %zu %zu %zu %zu\n", sizeof(struct serial_icounter_struct), offsetof(struct serial_icounter_struct, frame),
	       offsetof(struct serial_icounter_struct, overrun), offsetof(struct serial_icounter_struct, parity),
	       offsetof(struct serial_icounter_struct, brk), offsetof(struct serial_icounter_struct, buf_overrun));
	printf("%zu\n", offsetof(struct gpio_v2_line_request, fd));
	return 0;
}

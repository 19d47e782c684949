// What ioctl_linux_test.go takes for granted of the kernel's structs; compiled with -m64 and -m32, never run.
#include <linux/gpio.h>
#include <linux/serial.h>
#include <stddef.h>

_Static_assert(sizeof(struct serial_rs485) == 32 && offsetof(struct serial_rs485, delay_rts_after_send) == 8, "serial_rs485");
_Static_assert(sizeof(struct serial_icounter_struct) == 80 && offsetof(struct serial_icounter_struct, frame) == 24 &&
	       offsetof(struct serial_icounter_struct, buf_overrun) == 40, "serial_icounter_struct");
_Static_assert(sizeof(struct gpio_v2_line_request) == 592 && offsetof(struct gpio_v2_line_request, consumer) == 256 &&
	       offsetof(struct gpio_v2_line_request, config.flags) == 288 && offsetof(struct gpio_v2_line_request, num_lines) == 560 &&
	       offsetof(struct gpio_v2_line_request, fd) == 588, "gpio_v2_line_request");
_Static_assert(sizeof(struct gpio_v2_line_values) == 16 && offsetof(struct gpio_v2_line_values, mask) == 8, "gpio_v2_line_values");
_Static_assert(GPIO_V2_GET_LINE_IOCTL == 0xc250b407 && GPIO_V2_LINE_SET_VALUES_IOCTL == 0xc010b40f, "requests");

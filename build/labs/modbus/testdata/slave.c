// slave plays Modbus units with libmodbus, which nobody of this project wrote.
//
//   slave rtu ID:PATH...   one thread and one tty a unit
//   slave tcp PORT         one thread a connection, one map for all
//
// Input and holding register i of unit ID hold ID * 1000 + i, bit i is set when i + ID is a multiple of 3.
#include <errno.h>
#include <modbus.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BITS = 200, WORDS = 600 };

struct unit {
	int id;
	const char *path;
	modbus_t *ctx;
	modbus_mapping_t *map;
};

static modbus_mapping_t *fill(int id) {
	modbus_mapping_t *map = modbus_mapping_new(BITS, BITS, WORDS, WORDS);
	if (map == NULL) {
		perror("map");
		exit(1);
	}
	for (int i = 0; i < BITS; i++)
		map->tab_bits[i] = map->tab_input_bits[i] = (i + id) % 3 == 0;
	for (int i = 0; i < WORDS; i++)
		map->tab_registers[i] = map->tab_input_registers[i] = (uint16_t)(id * 1000 + i);
	return map;
}

// serve answers until the other side is gone.
static void *serve(void *arg) {
	struct unit *u = arg;
	uint8_t query[MODBUS_MAX_ADU_LENGTH];
	for (;;) {
		int n = modbus_receive(u->ctx, query);
		if (n > 0)
			modbus_reply(u->ctx, query, n, u->map);
		else if (n < 0 && errno != ETIMEDOUT && errno != EMBBADCRC && errno != EMBBADDATA)
			break;
	}
	modbus_close(u->ctx);
	return NULL;
}

static void open_rtu(struct unit *u) {
	u->ctx = modbus_new_rtu(u->path, 115200, 'N', 8, 1);
	if (u->ctx == NULL || modbus_set_slave(u->ctx, u->id) < 0 || modbus_connect(u->ctx) < 0) {
		fprintf(stderr, "%s: %s\n", u->path, modbus_strerror(errno));
		exit(1);
	}
	u->map = fill(u->id);
}

static int run_tcp(int port) {
	modbus_mapping_t *map = fill(1);
	modbus_t *listener = modbus_new_tcp("127.0.0.1", port);
	int s = modbus_tcp_listen(listener, 5);
	if (s < 0) {
		perror("listen");
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		struct unit *u = calloc(1, sizeof *u);
		pthread_t t;
		u->map = map;
		u->ctx = modbus_new_tcp("127.0.0.1", port);
		if (modbus_tcp_accept(u->ctx, &s) < 0)
			return 1;
		pthread_create(&t, NULL, serve, u);
	}
}

int main(int argc, char **argv) {
	if (argc == 3 && strcmp(argv[1], "tcp") == 0)
		return run_tcp(atoi(argv[2]));
	if (argc < 3 || strcmp(argv[1], "rtu") != 0)
		return 2;
	int n = argc - 2;
	struct unit *units = calloc(n, sizeof *units);
	for (int i = 0; i < n; i++) {
		char *colon = strchr(argv[i + 2], ':');
		if (colon == NULL)
			return 2;
		units[i].id = atoi(argv[i + 2]);
		units[i].path = colon + 1;
		open_rtu(&units[i]);
	}
	for (int i = 0; i < n; i++) {
		pthread_t t;
		pthread_create(&t, NULL, serve, &units[i]);
	}
	printf("ready\n");
	fflush(stdout);
	pause();
	return 0;
}

// Uses WASI: standard streams, a file on its drive, clock, randomness, sleep and exit, as its process name asks for.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(name) __attribute__((import_module("nectar:process/standard@0.7.0"), import_name(name)))
IMPORT("print-to-terminal") extern void nectar_print(int32_t verbosity, const char *text, size_t size);

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t alignment, size_t size) {
  return realloc(old, size ? size : 1);
}

static void say(int fd, const char *text) { write(fd, text, strlen(text)); }

static void say_hex(const void *data, int size) {
  for (int i = 0; i < size; i++) {
    uint8_t byte = ((const uint8_t *)data)[i];
    write(2, &"0123456789abcdef"[byte >> 4], 1);
    write(2, &"0123456789abcdef"[byte & 15], 1);
  }
  write(2, "\n", 1);
}

static int is(const char *our, size_t size, const char *name) {
  const char *process = memchr(our, '@', size);
  return process && !memcmp(process + 1, name, strlen(name)) && process[1 + strlen(name)] == ':';
}

EXPORT("init") void init(const char *our, size_t size) {
  if (is(our, size, "streams")) {
    say(1, "to stdout\n");
    say(2, "half a ");
    nectar_print(3, "between", 7);
    say(2, "line\nthe rest");
  } else if (is(our, size, "flood")) {
    for (int i = 0; i < 3000; i++) say(1, "line\n");
  } else if (is(our, size, "exit0")) {
    exit(0);
  } else if (is(our, size, "exit3")) {
    exit(3);
  } else if (is(our, size, "abort")) {
    say(2, "panicked\n");
    abort();
  } else if (is(our, size, "sleep")) {
    say(2, usleep(60000000) ? "did not sleep\n" : "slept\n");
  } else if (is(our, size, "random")) {
    uint64_t number;
    struct timespec now;
    getentropy(&number, sizeof number);
    clock_gettime(CLOCK_REALTIME, &now);
    say_hex(&number, sizeof number);
    say_hex(&now.tv_sec, sizeof now.tv_sec);
  } else if (is(our, size, "file")) {
    int file = open("/note.txt", O_CREAT | O_WRONLY, 0600);
    if (file < 0) say(2, "no drive\n");
    if (file >= 0 && write(file, "written", 7) == 7) say(2, "wrote\n");
    if (open("/../secret", O_RDONLY) < 0) say(2, "cannot leave the drive\n");
  }
}

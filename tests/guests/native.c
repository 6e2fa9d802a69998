// A component that knows no WASI but 0.2. Does what it is asked, and answers with what came of it: "write PATH TEXT",
// "read PATH", "list PATH", "link TARGET PATH", "move FROM TO", "hoard PATH" (open it until that is refused: how often),
// "free", "env", "sleep MILLISECONDS", "race MILLISECONDS…" (which ends first), "time", "random", "print TEXT",
// "socket", "exit CODE", "loop". What it is asked in quotes it answers in quotes. Its start function draws a number.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name))) extern
#define EXPORT(name) __attribute__((export_name(name)))
#define FILES "wasi:filesystem/types@0.2.12"
#define METHOD(name) IMPORT(FILES, "[method]descriptor." name)

IMPORT("nectar:process/standard@0.7.0", "receive") void nectar_receive(uint32_t *result);
IMPORT("nectar:process/standard@0.7.0", "send-response") void nectar_send_response(
    int32_t inherit, const void *body, uint32_t body_size, int32_t has_metadata, const void *metadata,
    uint32_t metadata_size, const void *capabilities, uint32_t capability_count, int32_t has_blob, int32_t has_mime,
    const void *mime, uint32_t mime_size, const void *bytes, uint32_t bytes_size);
IMPORT("wasi:filesystem/preopens@0.2.12", "get-directories") void get_directories(uint32_t *result);
METHOD("open-at") void open_at(int, int, const char *, size_t, int, int, uint32_t *result);
METHOD("read") void read_file(int, uint64_t size, uint64_t offset, uint32_t *result);
METHOD("write-via-stream") void write_via_stream(int, uint64_t offset, uint32_t *result);
METHOD("read-directory") void read_directory(int, uint32_t *result);
METHOD("symlink-at") void symlink_at(int, const char *, size_t, const char *, size_t, uint8_t *result);
METHOD("rename-at") void rename_at(int, const char *, size_t, int, const char *, size_t, uint8_t *result);
IMPORT(FILES, "[method]directory-entry-stream.read-directory-entry") void next_entry(int, uint32_t *result);
IMPORT(FILES, "[resource-drop]descriptor") void drop_descriptor(int);
IMPORT(FILES, "[resource-drop]directory-entry-stream") void drop_entries(int);
IMPORT("wasi:io/streams@0.2.12", "[method]output-stream.blocking-write-and-flush") void write_stream(
    int, const char *, size_t, uint32_t *result);
IMPORT("wasi:io/streams@0.2.12", "[resource-drop]output-stream") void drop_stream(int);
IMPORT("wasi:io/poll@0.2.12", "[method]pollable.block") void block(int);
IMPORT("wasi:io/poll@0.2.12", "poll") void poll_all(const int *, size_t, uint32_t *result);
IMPORT("wasi:io/poll@0.2.12", "[resource-drop]pollable") void drop_pollable(int);
IMPORT("wasi:clocks/monotonic-clock@0.2.12", "now") uint64_t monotonic_now(void);
IMPORT("wasi:clocks/monotonic-clock@0.2.12", "subscribe-duration") int subscribe_duration(uint64_t nanoseconds);
IMPORT("wasi:clocks/wall-clock@0.2.12", "now") void wall_now(uint64_t *result);
IMPORT("wasi:random/random@0.2.12", "get-random-u64") uint64_t random_number(void);
IMPORT("wasi:cli/stdout@0.2.12", "get-stdout") int get_stdout(void);
IMPORT("wasi:cli/environment@0.2.12", "get-environment") void get_environment(uint32_t *result);
IMPORT("wasi:cli/environment@0.2.12", "get-arguments") void get_arguments(uint32_t *result);
IMPORT("wasi:cli/exit@0.2.12", "exit-with-code") void exit_with_code(int);
IMPORT("wasi:sockets/tcp-create-socket@0.2.12", "create-tcp-socket") void create_tcp_socket(int family, uint32_t *result);

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t alignment, size_t size) {
  return realloc(old, size ? size : 1);
}

static char answer[8192];
static int drive = -1;
static uint64_t drawn;
enum { CREATE = 1, FOLDER = 2, TRUNCATE = 8, READ = 1, WRITE = 2, CHANGE = 32 };

__attribute__((constructor)) static void draw(void) { drawn = random_number(); }

static void add_number(uint64_t number) {
  char digits[21], *at = digits + 20;
  *at = 0;
  do *--at = '0' + number % 10;
  while (number /= 10);
  strcat(answer, at);
}

static const char *relative(const char *path) { return *path == '/' ? path[1] ? path + 1 : "." : path; }

// Returns a handle, or -1.
static int opened(const char *path, int open_flags, int flags) {
  uint32_t result[2];
  const char *name = relative(path);
  open_at(drive, 1, name, strlen(name), open_flags, flags, result);
  return *(uint8_t *)result ? -1 : (int)result[1];
}

static void do_write(const char *path, const char *text) {
  int file = opened(path, CREATE | TRUNCATE, WRITE);
  uint32_t result[2];
  strcpy(answer, "refused");
  if (file < 0) return;
  write_via_stream(file, 0, result);
  drop_descriptor(file);
  if (*(uint8_t *)result) return;
  int stream = result[1];
  write_stream(stream, text, strlen(text), result);
  if (!*(uint8_t *)result) strcpy(answer, "written");
  drop_stream(stream);
}

static void do_read(const char *path) {
  int file = opened(path, 0, READ);
  uint32_t result[4];
  strcpy(answer, "refused");
  if (file < 0) return;
  read_file(file, sizeof answer - 1, 0, result);
  drop_descriptor(file);
  if (*(uint8_t *)result) return;
  memcpy(answer, (char *)result[1], result[2]);
  answer[result[2]] = 0;
  free((char *)result[1]);
}

static void do_list(const char *path) {
  int folder = opened(path, FOLDER, READ);
  uint32_t result[5];
  strcpy(answer, "refused");
  if (folder < 0) return;
  read_directory(folder, result);
  drop_descriptor(folder);
  if (*(uint8_t *)result) return;
  int entries = result[1];
  for (*answer = 0;;) {
    next_entry(entries, result);
    if (*(uint8_t *)result || !(uint8_t)result[1]) break;
    strncat(answer, (char *)result[3], result[4]);
    strcat(answer, " ");
    free((char *)result[3]);
  }
  drop_entries(entries);
}

static void do_link(const char *target, const char *path) {
  uint8_t result[2];
  const char *name = relative(path);
  symlink_at(drive, target, strlen(target), name, strlen(name), result);
  strcpy(answer, *result ? "refused" : "linked");
}

static void do_move(const char *from, const char *to) {
  uint8_t result[2];
  from = relative(from), to = relative(to);
  rename_at(drive, from, strlen(from), drive, to, strlen(to), result);
  strcpy(answer, *result ? "refused" : "moved");
}

static int hoarded[1024], hoard_size;

static void do_hoard(const char *path) {
  int before = hoard_size;
  while (hoard_size < 1024 && (hoarded[hoard_size] = opened(path, 0, READ)) >= 0) hoard_size++;
  add_number(hoard_size - before);
}

static void do_free(void) {
  while (hoard_size) drop_descriptor(hoarded[--hoard_size]);
  strcpy(answer, "free");
}

static void do_env(void) {
  uint32_t variables[2], arguments[2];
  get_environment(variables);
  get_arguments(arguments);
  add_number(variables[1]);
  strcat(answer, " variables, ");
  add_number(arguments[1]);
  strcat(answer, " arguments");
}

static void do_sleep(const char *text) {
  uint64_t before = monotonic_now();
  int pollable = subscribe_duration((uint64_t)strtoul(text, 0, 10) * 1000000);
  block(pollable);
  drop_pollable(pollable);
  add_number((monotonic_now() - before) / 1000000);
}

static void do_race(char *text) {
  int pollables[16], count = 0;
  for (char *at = text; *at && count < 16; count++) pollables[count] = subscribe_duration(strtoul(at, &at, 10) * 1000000ull);
  uint32_t ready[2];
  poll_all(pollables, count, ready);
  for (uint32_t i = 0; i < ready[1]; i++) {
    add_number(((uint32_t *)ready[0])[i]);
    strcat(answer, " ");
  }
  free((void *)ready[0]);
  while (count) drop_pollable(pollables[--count]);
}

static void do_print(const char *text) {
  uint32_t result[2];
  int out = get_stdout();
  write_stream(out, text, strlen(text), result);
  drop_stream(out);
  strcpy(answer, "printed");
}

static void do_time(void) {
  uint64_t now[2];
  wall_now(now);
  add_number(now[0]);
  strcat(answer, " ");
  add_number(monotonic_now());
}

static void do_random(void) {
  add_number(drawn);
  strcat(answer, " ");
  add_number(random_number());
}

static void do_socket(void) {
  uint32_t result[2];
  create_tcp_socket(0, result);
  strcpy(answer, !*(uint8_t *)result ? "made" : (uint8_t)result[1] == 2 ? "not supported" : "refused");
}

static void act(char *text) {
  char *first = strchr(text, ' '), *second = 0;
  if (first) *first++ = 0, second = strchr(first, ' ');
  if (second && strcmp(text, "print") && strcmp(text, "race")) *second++ = 0;
  if (!strcmp(text, "write")) do_write(first, second ? second : "");
  else if (!strcmp(text, "read")) do_read(first);
  else if (!strcmp(text, "list")) do_list(first);
  else if (!strcmp(text, "link")) do_link(first, second);
  else if (!strcmp(text, "move")) do_move(first, second);
  else if (!strcmp(text, "hoard")) do_hoard(first);
  else if (!strcmp(text, "free")) do_free();
  else if (!strcmp(text, "env")) do_env();
  else if (!strcmp(text, "sleep")) do_sleep(first);
  else if (!strcmp(text, "race")) do_race(first);
  else if (!strcmp(text, "print")) do_print(first);
  else if (!strcmp(text, "time")) do_time();
  else if (!strcmp(text, "random")) do_random();
  else if (!strcmp(text, "socket")) do_socket();
  else if (!strcmp(text, "exit")) exit_with_code(atoi(first));
  else if (!strcmp(text, "loop")) for (volatile int i = 0;; i++);
  else strcpy(answer, "?");
}

EXPORT("init") void init(const char *our, size_t size) {
  // Words 18 and 19 of a received request are its body's pointer and length.
  static uint32_t result[64];
  static char text[1024];
  uint32_t folders[2];
  get_directories(folders);
  if (folders[1]) drive = ((int *)folders[0])[0];
  for (;;) {
    nectar_receive(result);
    if ((result[0] & 255) || (result[10] & 255) || result[19] >= sizeof text) continue;
    memcpy(text, (const void *)result[18], result[19]);
    text[result[19]] = 0;
    int quoted = *text == '"';
    if (quoted) text[result[19] - 1] = 0;
    answer[0] = 0;
    act(text + quoted);
    if (quoted) {
      memmove(answer + 1, answer, strlen(answer) + 1);
      *answer = '"';
      strcat(answer, "\"");
    }
    nectar_send_response(0, answer, strlen(answer), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  }
}

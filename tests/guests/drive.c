// Does with files what it is asked, and answers with what came of it: "write PATH TEXT", "read PATH", "list PATH",
// "link TARGET PATH", "move FROM TO", "fds", "env", "sleep MILLISECONDS", "until MILLISECONDS" (of the monotonic clock),
// "hoard PATH" (open it until that is refused: how often), "free".
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IMPORT(name) __attribute__((import_module("nectar:process/standard@0.7.0"), import_name(name)))
#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

IMPORT("receive") extern void nectar_receive(uint32_t *result);
IMPORT("send-response") extern void nectar_send_response(
    int32_t inherit, const void *body, uint32_t body_size, int32_t has_metadata, const void *metadata,
    uint32_t metadata_size, const void *capabilities, uint32_t capability_count, int32_t has_blob, int32_t has_mime,
    const void *mime, uint32_t mime_size, const void *bytes, uint32_t bytes_size);
WASI("environ_sizes_get") extern int environ_sizes(uint32_t *count, uint32_t *bytes);
WASI("args_sizes_get") extern int args_sizes(uint32_t *count, uint32_t *bytes);
WASI("fd_prestat_get") extern int prestat(int fd, uint32_t *result);

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t alignment, size_t size) {
  return realloc(old, size ? size : 1);
}

static char answer[4096];

static void do_write(const char *path, const char *text) {
  int file = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
  ssize_t size = file < 0 ? -1 : write(file, text, strlen(text));
  if (file >= 0) close(file);
  strcpy(answer, size == (ssize_t)strlen(text) ? "written" : "refused");
}

static void do_read(const char *path) {
  int file = open(path, O_RDONLY);
  ssize_t size = file < 0 ? -1 : read(file, answer, sizeof answer - 1);
  if (file >= 0) close(file);
  if (size < 0) strcpy(answer, "refused");
  else answer[size] = 0;
}

static void do_list(const char *path) {
  DIR *folder = opendir(path);
  if (!folder) { strcpy(answer, "refused"); return; }
  for (struct dirent *entry; (entry = readdir(folder));) {
    if (entry->d_name[0] == '.') continue;
    strcat(answer, entry->d_name);
    strcat(answer, " ");
  }
  closedir(folder);
}

static void do_fds(void) {
  uint32_t out[2];
  for (int fd = 3; fd < 64; fd++) {
    if (!prestat(fd, out)) snprintf(answer + strlen(answer), 16, "%d ", fd);
  }
}

static void do_env(void) {
  uint32_t numbers[4];
  environ_sizes(&numbers[0], &numbers[1]);
  args_sizes(&numbers[2], &numbers[3]);
  snprintf(answer, sizeof answer, "%u variables, %u arguments", numbers[0], numbers[2]);
}

static void do_sleep(const char *milliseconds, int until) {
  long wanted = atol(milliseconds);
  struct timespec time = {wanted / 1000, wanted % 1000 * 1000000}, before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  int refused = clock_nanosleep(CLOCK_MONOTONIC, until ? TIMER_ABSTIME : 0, &time, 0);
  clock_gettime(CLOCK_MONOTONIC, &after);
  long slept = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
  snprintf(answer, sizeof answer, refused ? "refused" : "%ld ms", slept);
}

static int hoarded[1024], hoard_size;

static void do_hoard(const char *path) {
  int before = hoard_size;
  while (hoard_size < 1024 && (hoarded[hoard_size] = open(path, O_RDONLY)) >= 0) hoard_size++;
  snprintf(answer, sizeof answer, "%d, errno %d", hoard_size - before, errno);
}

static void do_free(void) {
  while (hoard_size) close(hoarded[--hoard_size]);
  strcpy(answer, "free");
}

static void obey(char *text) {
  char *word = strsep(&text, " "), *first = strsep(&text, " ");
  answer[0] = 0;
  if (!strcmp(word, "write")) do_write(first, text);
  else if (!strcmp(word, "read")) do_read(first);
  else if (!strcmp(word, "list")) do_list(first);
  else if (!strcmp(word, "link")) strcpy(answer, symlink(first, text) ? "refused" : "linked");
  else if (!strcmp(word, "move")) strcpy(answer, rename(first, text) ? "refused" : "moved");
  else if (!strcmp(word, "fds")) do_fds();
  else if (!strcmp(word, "env")) do_env();
  else if (!strcmp(word, "sleep")) do_sleep(first, 0);
  else if (!strcmp(word, "until")) do_sleep(first, 1);
  else if (!strcmp(word, "hoard")) do_hoard(first);
  else if (!strcmp(word, "free")) do_free();
}

EXPORT("init") void init(const char *our, size_t size) {
  // Words 18 and 19 of a received request are its body's pointer and length.
  static uint32_t result[64];
  static char text[1024];
  for (;;) {
    nectar_receive(result);
    if ((result[0] & 255) || (result[10] & 255) || result[19] >= sizeof text) continue;
    memcpy(text, (const void *)result[18], result[19]);
    text[result[19]] = 0;
    obey(text);
    nectar_send_response(0, answer, strlen(answer), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  }
}

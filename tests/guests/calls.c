// Makes the calls of WASI preview 1 that its requests name, with any numbers, and answers with what came of each.
//
// A request is a list of steps; numbers are little-endian. "C" FUNCTION(1) COUNT(1), and for each argument KIND(1)
// VALUE(8): the number itself, or with kind 1 that place in `scratch`. The errno (4) is added to the answer. "W" PLACE(4)
// SIZE(4) BYTES writes into `scratch`; "D" PLACE(4) SIZE(4) adds what is there to the answer.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("nectar:process/standard@0.7.0"), import_name(name)))
#define WASI(name, ...) \
  __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) extern int32_t wasi_##name(__VA_ARGS__);
#define EXPORT(name) __attribute__((export_name(name)))
typedef int32_t I;
typedef int64_t L;

IMPORT("receive") extern void nectar_receive(uint32_t *result);
IMPORT("send-response") extern void nectar_send_response(
    int32_t inherit, const void *body, uint32_t body_size, int32_t has_metadata, const void *metadata,
    uint32_t metadata_size, const void *capabilities, uint32_t capability_count, int32_t has_blob, int32_t has_mime,
    const void *mime, uint32_t mime_size, const void *bytes, uint32_t bytes_size);
WASI(fd_advise, I, L, L, I) WASI(fd_allocate, I, L, L) WASI(fd_close, I) WASI(fd_datasync, I) WASI(fd_fdstat_get, I, I)
WASI(fd_fdstat_set_flags, I, I) WASI(fd_fdstat_set_rights, I, L, L) WASI(fd_filestat_get, I, I)
WASI(fd_filestat_set_size, I, L) WASI(fd_filestat_set_times, I, L, L, I) WASI(fd_pread, I, I, I, L, I)
WASI(fd_prestat_get, I, I) WASI(fd_prestat_dir_name, I, I, I) WASI(fd_pwrite, I, I, I, L, I) WASI(fd_read, I, I, I, I)
WASI(fd_readdir, I, I, I, L, I) WASI(fd_renumber, I, I) WASI(fd_seek, I, L, I, I) WASI(fd_sync, I) WASI(fd_tell, I, I)
WASI(fd_write, I, I, I, I) WASI(path_create_directory, I, I, I) WASI(path_filestat_get, I, I, I, I, I)
WASI(path_filestat_set_times, I, I, I, I, L, L, I) WASI(path_link, I, I, I, I, I, I, I)
WASI(path_open, I, I, I, I, I, L, L, I, I) WASI(path_readlink, I, I, I, I, I, I) WASI(path_remove_directory, I, I, I)
WASI(path_rename, I, I, I, I, I, I) WASI(path_symlink, I, I, I, I, I) WASI(path_unlink_file, I, I, I)

static uint8_t scratch[1 << 17], answer[1 << 17];
static uint32_t answered;

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t alignment, size_t size) {
  return realloc(old, size ? size : 1);
}

static int32_t call(int function, const L *a) {
  switch (function) {
    case 0: return wasi_fd_advise(a[0], a[1], a[2], a[3]);
    case 1: return wasi_fd_allocate(a[0], a[1], a[2]);
    case 2: return wasi_fd_close(a[0]);
    case 3: return wasi_fd_datasync(a[0]);
    case 4: return wasi_fd_fdstat_get(a[0], a[1]);
    case 5: return wasi_fd_fdstat_set_flags(a[0], a[1]);
    case 6: return wasi_fd_fdstat_set_rights(a[0], a[1], a[2]);
    case 7: return wasi_fd_filestat_get(a[0], a[1]);
    case 8: return wasi_fd_filestat_set_size(a[0], a[1]);
    case 9: return wasi_fd_filestat_set_times(a[0], a[1], a[2], a[3]);
    case 10: return wasi_fd_pread(a[0], a[1], a[2], a[3], a[4]);
    case 11: return wasi_fd_prestat_get(a[0], a[1]);
    case 12: return wasi_fd_prestat_dir_name(a[0], a[1], a[2]);
    case 13: return wasi_fd_pwrite(a[0], a[1], a[2], a[3], a[4]);
    case 14: return wasi_fd_read(a[0], a[1], a[2], a[3]);
    case 15: return wasi_fd_readdir(a[0], a[1], a[2], a[3], a[4]);
    case 16: return wasi_fd_renumber(a[0], a[1]);
    case 17: return wasi_fd_seek(a[0], a[1], a[2], a[3]);
    case 18: return wasi_fd_sync(a[0]);
    case 19: return wasi_fd_tell(a[0], a[1]);
    case 20: return wasi_fd_write(a[0], a[1], a[2], a[3]);
    case 21: return wasi_path_create_directory(a[0], a[1], a[2]);
    case 22: return wasi_path_filestat_get(a[0], a[1], a[2], a[3], a[4]);
    case 23: return wasi_path_filestat_set_times(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    case 24: return wasi_path_link(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    case 25: return wasi_path_open(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8]);
    case 26: return wasi_path_readlink(a[0], a[1], a[2], a[3], a[4], a[5]);
    case 27: return wasi_path_remove_directory(a[0], a[1], a[2]);
    case 28: return wasi_path_rename(a[0], a[1], a[2], a[3], a[4], a[5]);
    case 29: return wasi_path_symlink(a[0], a[1], a[2], a[3], a[4]);
    case 30: return wasi_path_unlink_file(a[0], a[1], a[2]);
  }
  __builtin_trap();
}

static void add(const void *bytes, uint32_t size) {
  if (size > sizeof answer - answered) __builtin_trap();
  memcpy(answer + answered, bytes, size);
  answered += size;
}

static uint32_t word(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, 4);
  return value;
}

static const uint8_t *call_step(const uint8_t *at) {
  L arguments[9] = {0}, value;
  int function = at[0], count = at[1];
  at += 2;
  for (int index = 0; index < count; index++, at += 9) {
    memcpy(&value, at + 1, 8);
    arguments[index] = at[0] ? (L)(intptr_t)(scratch + value) : value;
  }
  int32_t error = call(function, arguments);
  add(&error, 4);
  return at;
}

static void obey(const uint8_t *at, const uint8_t *end) {
  while (at < end) {
    uint8_t step = *at++;
    if (step == 'C') { at = call_step(at); continue; }
    uint32_t place = word(at), size = word(at + 4);
    at += 8;
    if (place > sizeof scratch || size > sizeof scratch - place) __builtin_trap();
    if (step == 'D') { add(scratch + place, size); continue; }
    memcpy(scratch + place, at, size);
    at += size;
  }
}

EXPORT("init") void init(const char *our, size_t size) {
  // Words 18 and 19 of a received request are its body's pointer and length.
  static uint32_t result[64];
  for (;;) {
    nectar_receive(result);
    if ((result[0] & 255) || (result[10] & 255)) continue;
    answered = 0;
    obey((const uint8_t *)result[18], (const uint8_t *)result[18] + result[19]);
    free((void *)result[18]);
    nectar_send_response(0, answer, answered, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  }
}

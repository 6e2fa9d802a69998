// A guest as wit-bindgen would lay it out, small enough to read. Named `ping`, it sends a request of 100 bytes to
// `echo` on its own node whenever the answer to the last one has come; under any other name it answers each request
// with its own body. It frees what it receives, so its memory does not grow.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("nectar:process/standard@0.7.0"), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

typedef struct { void *data; uint32_t size; } list;
typedef struct { list node, process, package, publisher; } address;
typedef struct { uint8_t some; list value; } option;
typedef struct { uint8_t some; uint64_t value; } seconds;
typedef struct { uint8_t inherit; seconds expects_response; list body; option metadata; list capabilities; } request;
typedef struct { uint8_t inherit; list body; option metadata; list capabilities; } response;
typedef struct {
  _Alignas(8) uint8_t error;
  struct {
    address source;
    uint8_t is_response;
    union { request request; struct { response response; option context; } answer; } of;
  } ok;
} received;
typedef struct {
  address target;
  request request;
  option context;
  struct { uint8_t some; option mime; list bytes; } blob;
} send;

_Static_assert(sizeof(request) == 56 && sizeof(send) == 128, "the canonical ABI's layout");

IMPORT("receive") extern void nectar_receive(received *result);
IMPORT("send-request") extern void nectar_send_request(const send *);
IMPORT("send-response") extern void nectar_send_response(
    int32_t inherit, const void *body, uint32_t body_size, int32_t has_metadata, const void *metadata,
    uint32_t metadata_size, const void *capabilities, uint32_t capability_count, int32_t has_blob, int32_t has_mime,
    const void *mime, uint32_t mime_size, const void *bytes, uint32_t bytes_size);

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t alignment, size_t size) {
  return realloc(old, size ? size : 1);
}

static void release(received *result) {
  free(result->ok.source.node.data);
  free(result->ok.source.process.data);
  free(result->ok.source.package.data);
  free(result->ok.source.publisher.data);
  free(result->ok.is_response ? result->ok.of.answer.response.body.data : result->ok.of.request.body.data);
  free(result->ok.is_response ? result->ok.of.answer.response.capabilities.data
                              : result->ok.of.request.capabilities.data);
}

static list text(char *of) { return (list){of, strlen(of)}; }

static void ping(void) {
  static uint8_t body[100];
  static received result;
  static send out;
  out.target = (address){text("our"), text("echo"), text("bench"), text("sys")};
  out.request = (request){.expects_response = {1, 30}, .body = {body, sizeof body}};
  for (;;) {
    nectar_send_request(&out);
    nectar_receive(&result);
    release(&result);
  }
}

static void echo(void) {
  static received result;
  for (;;) {
    nectar_receive(&result);
    if (result.error || result.ok.is_response) __builtin_trap();
    list body = result.ok.of.request.body;
    nectar_send_response(0, body.data, body.size, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    release(&result);
  }
}

EXPORT("init") void init(const char *our, uint32_t size) {
  const char *process = memchr(our, '@', size);
  if (process && our + size - process > 4 && !memcmp(process + 1, "ping", 4)) ping();
  echo();
}

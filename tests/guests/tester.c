// A guest that asks what it is told to, compiled for each interface in turn: -DINTERFACE says for which, -DLATE that it
// is one of 1.0.0.
//
// Its user (the terminal) sends commands: one letter, then fields, each four bytes of length, little-endian, and so many
// bytes; a length of all ones is a field that is not there.
//
//     A node process package publisher body mime blob seconds   ask, wait for the outcome and answer with it
//     S (the same)                                              send, without expecting a response
//     T                                                         answer with all that has come since the last T
//     R how body mime blob                                      what others' requests are met with from now on
//     C                                                         answer with our capabilities
//     P path                                                    spawn a process
//
// `how` is a letter: a (answer with body and blob), s (silence), e (end), t (trap). An outcome is r (a response), o
// (Offline) or t (Timeout), then the fields process, body, mime and blob; what has come begins with q or r.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module(INTERFACE), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

typedef struct { uint8_t *data; uint32_t size; } list;
typedef struct { uint8_t some; list value; } option;
typedef struct { uint8_t some; uint64_t value; } seconds;
typedef struct { list process, package, publisher; } process_id;
typedef struct { list node; process_id process; } address;
typedef struct { uint8_t inherit; seconds expects_response; list body; option metadata; list capabilities; } request;
typedef struct { uint8_t inherit; list body; option metadata; list capabilities; } response;
typedef struct { uint8_t some; option mime; list bytes; } blob;
typedef struct { address issuer; list params; } capability;
typedef struct {
  uint8_t is_response;
  union { request request; struct { response response; option context; } answer; } of;
} message;
typedef struct {
  uint8_t kind;
#ifdef AFTER_0_7
  address target;
#endif
  message message;
  blob blob;
} send_error;
typedef struct {
  _Alignas(8) uint8_t error;
  union { struct { address source; message message; } ok; struct { send_error error; option context; } err; } of;
} received;
typedef struct { address target; request request; blob blob; } awaited;
typedef struct { address target; request request; option context; blob blob; } sent;
typedef struct { uint8_t error; union { process_id id; uint8_t error; } of; } spawned;

_Static_assert(sizeof(request) == 56 && sizeof(sent) == 128 && sizeof(awaited) == 112, "the canonical ABI's layout");

IMPORT("receive") extern void receive(received *);
IMPORT("get-blob") extern void get_blob(blob *);
IMPORT("our-capabilities") extern void our_capabilities(list *);
IMPORT("send-request") extern void send_request(const sent *);
IMPORT("send-and-await-response") extern void send_and_await(const awaited *, received *);
IMPORT("send-response") extern void send_response(
    int32_t inherit, const void *body, uint32_t body_size, int32_t has_metadata, const void *metadata,
    uint32_t metadata_size, const void *capabilities, uint32_t capability_count, int32_t has_blob, int32_t has_mime,
    const void *mime, uint32_t mime_size, const void *bytes, uint32_t bytes_size);
IMPORT("spawn") extern void spawn_process(
    int32_t has_name, const void *name, uint32_t name_size, const void *path, uint32_t path_size, int32_t on_exit,
    const void *requests, uint32_t request_count, const void *wanted, uint32_t wanted_count, const void *granted,
    uint32_t granted_count, int32_t public, spawned *);
#ifdef LATE
IMPORT("has-blob") extern int32_t has_blob(void);
#endif

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t alignment, size_t size) {
  return realloc(old, size ? size : 1);
}

// What is written: fields, one after the other.
static list out, log_;

static void put(list *to, const void *data, uint32_t size) {
  if (!(to->data = realloc(to->data, to->size + size + 1))) __builtin_trap();
  memcpy(to->data + to->size, data, size);
  to->size += size;
}

static void put_field(list *to, int some, list field) {
  uint32_t size = some ? field.size : UINT32_MAX;
  put(to, &size, 4);
  if (some) put(to, field.data, field.size);
}

static void put_process(list *to, process_id of) {
  list name = {0, 0};
  put(&name, of.process.data, of.process.size);
  put(&name, ":", 1);
  put(&name, of.package.data, of.package.size);
  put(&name, ":", 1);
  put(&name, of.publisher.data, of.publisher.size);
  put_field(to, 1, name);
  free(name.data);
}

// The blob of the message at hand, as the fields mime and bytes.
static void put_blob(list *to) {
  blob there = {0};
#ifdef LATE
  if (has_blob())
#endif
    get_blob(&there);
  put_field(to, there.some && there.mime.some, there.mime.value);
  put_field(to, there.some, there.bytes);
}

static void put_message(list *to, const address *source, const message *of) {
  put_process(to, source->process);
  put_field(to, 1, of->is_response ? of->of.answer.response.body : of->of.request.body);
  put_blob(to);
}

// What is read: the fields of a command.
static list in;

static option field(void) {
  uint32_t size;
  if (in.size < 4) __builtin_trap();
  memcpy(&size, in.data, 4);
  in.data += 4, in.size -= 4;
  if (size == UINT32_MAX) return (option){0};
  if (size > in.size) __builtin_trap();
  list value = {in.data, size};
  in.data += size, in.size -= size;
  return (option){1, value};
}

static blob blob_fields(void) {
  option mime = field(), bytes = field();
  return (blob){bytes.some, mime, bytes.value};
}

static address address_fields(void) {
  list node = field().value, process = field().value, package = field().value, publisher = field().value;
  return (address){node, {process, package, publisher}};
}

static struct { uint8_t how; list body; blob blob; } rule = {.how = 's'};

static list kept(list of) {
  list copy = {0, 0};
  put(&copy, of.data, of.size);
  return copy;
}

static void answer(list body, const blob *with) {
  send_response(0, body.data, body.size, 0, 0, 0, (void *)8, 0, with->some, with->mime.some, with->mime.value.data,
                with->mime.value.size, with->bytes.data, with->bytes.size);
}

static void ask(uint8_t letter) {
  address target = address_fields();
  request asked = {.body = field().value, .capabilities = {(void *)8, 0}};
  blob with = blob_fields();
  uint8_t patience = *field().value.data;
  if (letter == 'S') {
    sent params = {.target = target, .request = asked, .blob = with};
    send_request(&params);
    return;
  }
  asked.expects_response = (seconds){1, patience};
  awaited params = {target, asked, with};
  received result;
  send_and_await(&params, &result);
  if (result.error) {
    put(&out, result.of.err.error.kind ? "t" : "o", 1);
    return;
  }
  put(&out, "r", 1);
  put_message(&out, &result.of.ok.source, &result.of.ok.message);
}

static void command(list body) {
  out.size = 0;
  in = body;
  uint8_t letter = *in.data;
  in.data++, in.size--;
  switch (letter) {
    case 'A':
    case 'S':
      ask(letter);
      break;
    case 'T':
      put(&out, log_.data, log_.size);
      log_.size = 0;
      break;
    case 'R':
      rule.how = *field().value.data;
      rule.body = kept(field().value);
      rule.blob = blob_fields();
      rule.blob.mime.value = kept(rule.blob.mime.value);
      rule.blob.bytes = kept(rule.blob.bytes);
      break;
    case 'C': {
      list capabilities;
      our_capabilities(&capabilities);
      capability *each = (capability *)capabilities.data;
      for (uint32_t i = 0; i < capabilities.size; i++) {
        put_process(&out, each[i].issuer.process);
        put_field(&out, 1, each[i].params);
      }
      break;
    }
    case 'P': {
      list path = field().value;
      spawned result;
      spawn_process(0, 0, 0, path.data, path.size, 0, (void *)8, 0, (void *)8, 0, (void *)8, 0, 0, &result);
      put(&out, result.error ? "e" : "r", 1);
      break;
    }
    default:
      __builtin_trap();
  }
  answer(out, &(blob){0});
}

static int is_user(const address *source) {
  list name = source->process.process;
  return name.size == 8 && !memcmp(name.data, "terminal", 8);
}

EXPORT("init") void init(const char *our, uint32_t size) {
  static received result;
  for (;;) {
    receive(&result);
    if (result.error) continue;
    address *source = &result.of.ok.source;
    message *of = &result.of.ok.message;
    if (!of->is_response && is_user(source)) {
      command(of->of.request.body);
      continue;
    }
    put(&log_, of->is_response ? "r" : "q", 1);
    put_message(&log_, source, of);
    if (of->is_response) continue;
    if (rule.how == 'e') return;
    if (rule.how == 't') __builtin_trap();
    if (rule.how == 'a') answer(rule.body, &rule.blob);
  }
}

// Asks servers by wasi:http, as libraries for it do: what the words of a request's body say.
//
// "ask METHOD SCHEME AUTHORITY PATH MILLISECONDS HEADER=VALUE,… SIZE": with a body of SIZE bytes, "-" for none; answers
// "STATUS SIZE SUM HEADERS", or "error CASE" with the number of the error-code.
// "race MILLISECONDS AUTHORITY PATH": which comes first, the answer or that time, and then both.
// "two AUTHORITY PATH PATH": asks for both at once, and answers their statuses in the order in which they came.
// "spin AUTHORITY PATH": looks whether the answer is there until it is, and never waits.
// "leave AUTHORITY PATH": asks and forgets; "keep AUTHORITY PATH": keeps the answer and never reads its body.
// "twice AUTHORITY PATH": takes an answer, its body and its stream a second time.
// "odd SCHEME": a request without a server; "late AUTHORITY PATH": drops the body that it was to finish.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#define FROM(module, name) extern "C" __attribute__((import_module(module), import_name(name)))
#define PROCESS(name) FROM("nectar:process/standard@0.7.0", name)
#define TYPES(name) FROM("wasi:http/types@0.2.12", name)
#define STREAMS(name) FROM("wasi:io/streams@0.2.12", name)
#define POLL(name) FROM("wasi:io/poll@0.2.12", name)
#define EXPORT(name) extern "C" __attribute__((export_name(name)))

// What the library says when it gives up would be printed by WASI preview 1.
[[noreturn]] void std::__libcpp_verbose_abort(const char *, ...) noexcept { __builtin_trap(); }

using Handle = int32_t;

// The layouts of the canonical ABI.
struct List { const void *data; uint32_t size; };
struct Maybe { uint8_t some; List value; };
struct Seconds { uint8_t some; uint64_t value; };
struct Request { uint8_t inherit; Seconds expects_response; List body; Maybe metadata; List capabilities; };
struct alignas(8) Received {
  uint8_t error;
  struct { List source[4]; uint8_t is_response; Request request; } ok;
  uint64_t rest[8];
};
struct Pair { List name, value; };
struct HandleResult { uint8_t error; Handle handle; };
struct StreamResult { uint8_t error; union { List data; struct { uint8_t kind; Handle handle; } why; } of; };
struct alignas(8) CodeResult { uint8_t error; uint8_t rest[7]; uint8_t code; uint64_t more[6]; };
struct alignas(8) HandleOrCode { uint8_t error; uint8_t rest[7]; union { Handle handle; uint8_t code; } of; uint64_t more[6]; };
struct alignas(8) FutureResult {
  uint8_t some; uint8_t a[7]; uint8_t taken; uint8_t b[7]; uint8_t error; uint8_t c[7];
  union { Handle handle; uint8_t code; } of;
  uint64_t more[6];
};

PROCESS("receive") void receive(Received *result);
PROCESS("send-response") void send_response(
    int32_t inherit, const void *body, uint32_t body_size, int32_t has_metadata, const void *metadata,
    uint32_t metadata_size, const void *capabilities, uint32_t capability_count, int32_t has_blob, int32_t has_mime,
    const void *mime, uint32_t mime_size, const void *bytes, uint32_t bytes_size);

POLL("poll") void poll_all(const Handle *pollables, uint32_t count, List *ready);
POLL("[method]pollable.block") void block(Handle pollable);
POLL("[resource-drop]pollable") void drop_pollable(Handle);
FROM("wasi:clocks/monotonic-clock@0.2.12", "subscribe-duration") Handle subscribe_duration(uint64_t nanoseconds);
STREAMS("[method]output-stream.blocking-write-and-flush")
void write_to(Handle stream, const void *data, uint32_t size, StreamResult *result);
STREAMS("[method]input-stream.blocking-read") void read_from(Handle stream, uint64_t most, StreamResult *result);
STREAMS("[resource-drop]output-stream") void drop_output(Handle);
STREAMS("[resource-drop]input-stream") void drop_input(Handle);

TYPES("[static]fields.from-list") void fields_from(const Pair *entries, uint32_t count, HandleResult *result);
TYPES("[method]fields.entries") void entries_of(Handle fields, List *result);
TYPES("[resource-drop]fields") void drop_fields(Handle);
TYPES("[constructor]outgoing-request") Handle new_request(Handle fields);
TYPES("[method]outgoing-request.set-method") int32_t set_method(Handle, int32_t kind, const void *, uint32_t);
TYPES("[method]outgoing-request.set-scheme")
int32_t set_scheme(Handle, int32_t some, int32_t kind, const void *, uint32_t);
TYPES("[method]outgoing-request.set-authority") int32_t set_authority(Handle, int32_t some, const void *, uint32_t);
TYPES("[method]outgoing-request.set-path-with-query") int32_t set_path(Handle, int32_t some, const void *, uint32_t);
TYPES("[method]outgoing-request.body") void body_of(Handle request, HandleResult *result);
TYPES("[method]outgoing-body.write") void stream_of_outgoing(Handle body, HandleResult *result);
TYPES("[static]outgoing-body.finish") void finish_outgoing(Handle body, int32_t some, Handle trailers, CodeResult *);
TYPES("[resource-drop]outgoing-body") void drop_outgoing_body(Handle);
TYPES("[constructor]request-options") Handle new_options();
TYPES("[method]request-options.set-first-byte-timeout") int32_t set_timeout(Handle, int32_t some, uint64_t nanoseconds);
FROM("wasi:http/outgoing-handler@0.2.12", "handle")
void handle(Handle request, int32_t some, Handle options, HandleOrCode *result);
TYPES("[method]future-incoming-response.subscribe") Handle subscribe(Handle future);
TYPES("[method]future-incoming-response.get") void get(Handle future, FutureResult *result);
TYPES("[resource-drop]future-incoming-response") void drop_future(Handle);
TYPES("[method]incoming-response.status") int32_t status_of(Handle response);
TYPES("[method]incoming-response.headers") Handle headers_of(Handle response);
TYPES("[method]incoming-response.consume") void consume(Handle response, HandleResult *result);
TYPES("[resource-drop]incoming-response") void drop_response(Handle);
TYPES("[method]incoming-body.stream") void stream_of(Handle body, HandleResult *result);
TYPES("[static]incoming-body.finish") Handle finish_incoming(Handle body);
TYPES("[resource-drop]future-trailers") void drop_trailers(Handle);

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t, size_t, size_t size) {
  void *made = realloc(old, size ? size : 1);
  if (!made) abort();
  return made;
}

using Text = std::string;

static Text take(List list) {
  Text text(static_cast<const char *>(list.data), list.size);
  free(const_cast<void *>(list.data));
  return text;
}

static List lent(const Text &text) { return {text.data(), static_cast<uint32_t>(text.size())}; }

static Text word(Text &text, char between = ' ') {
  auto end = std::min(text.find(between), text.size());
  Text first = text.substr(0, end);
  text.erase(0, end + 1);
  return first;
}

// Those of the libraries would take files along, and so WASI preview 1.
static uint64_t number_in(const Text &text) {
  uint64_t number = 0;
  for (char each : text) number = number * 10 + (each - '0');
  return number;
}

static Text text_of(uint64_t number) {
  return (number < 10 ? Text() : text_of(number / 10)) + static_cast<char>('0' + number % 10);
}

static void expect(bool holds) {
  if (!holds) abort();
}

struct Call {
  Text method = "GET", scheme = "http", authority, path, headers;
  uint64_t milliseconds = 0;
  long size = -1;
  bool drops_body = false, has_server = true;
};

/// The future, or minus the number of the error-code and one.
static Handle begin(Call call) {
  std::vector<Text> parts;
  for (Text rest = call.headers; !rest.empty();) {
    Text header = word(rest, ',');
    parts.push_back(word(header, '='));
    parts.push_back(header);
  }
  std::vector<Pair> pairs;
  for (size_t i = 0; i < parts.size(); i += 2) pairs.push_back({lent(parts[i]), lent(parts[i + 1])});
  HandleResult fields;
  fields_from(pairs.data(), pairs.size(), &fields);
  if (fields.error) return -1000 - (fields.handle & 255);
  Handle request = new_request(fields.handle);
  expect(!set_method(request, 9, call.method.data(), call.method.size()));
  if (call.scheme != "-") {
    int kind = call.scheme == "http" ? 0 : call.scheme == "https" ? 1 : 2;
    expect(!set_scheme(request, 1, kind, call.scheme.data(), call.scheme.size()));
  }
  if (call.has_server) expect(!set_authority(request, 1, call.authority.data(), call.authority.size()));
  expect(!set_path(request, 1, call.path.data(), call.path.size()));
  HandleResult body = {}, stream = {};
  if (call.size >= 0) {
    body_of(request, &body);
    expect(!body.error);
    HandleResult again;
    body_of(request, &again);
    expect(again.error);
  }
  Handle options = 0;
  if (call.milliseconds) {
    options = new_options();
    expect(!set_timeout(options, 1, call.milliseconds * 1'000'000));
  }
  HandleOrCode future;
  handle(request, options != 0, options, &future);
  if (future.error) return -1 - future.of.code;
  if (call.size >= 0) {
    stream_of_outgoing(body.handle, &stream);
    expect(!stream.error);
    Text piece(65536, 'x');
    for (long left = call.size; left > 0; left -= 65536) {
      StreamResult written;
      write_to(stream.handle, piece.data(), std::min(left, 65536l), &written);
      if (written.error) break;
    }
    drop_output(stream.handle);
    if (call.drops_body) {
      drop_outgoing_body(body.handle);
    } else {
      CodeResult finished;
      finish_outgoing(body.handle, 0, 0, &finished);
    }
  }
  return future.of.handle;
}

static Text read_whole(Handle response, uint32_t &size, uint32_t &sum) {
  Handle fields = headers_of(response);
  List list;
  entries_of(fields, &list);
  Text headers;
  auto pairs = static_cast<const Pair *>(list.data);
  for (uint32_t i = 0; i < list.size; i++) headers += " " + take(pairs[i].name) + "=" + take(pairs[i].value);
  free(const_cast<void *>(list.data));
  drop_fields(fields);
  HandleResult body, stream;
  consume(response, &body);
  stream_of(body.handle, &stream);
  size = sum = 0;
  for (;;) {
    StreamResult part;
    read_from(stream.handle, 1 << 20, &part);
    if (part.error) {
      expect(part.of.why.kind == 1);
      break;
    }
    Text data = take(part.of.data);
    size += data.size();
    for (unsigned char each : data) sum += each;
  }
  drop_input(stream.handle);
  drop_response(response);
  drop_trailers(finish_incoming(body.handle));
  return headers;
}

/// What came of a call.
static Text outcome(Handle future) {
  if (future < 0) return future <= -1000 ? "refused " + text_of(-1000 - future) : "error " + text_of(-1 - future);
  Handle pollable = subscribe(future);
  block(pollable);
  drop_pollable(pollable);
  FutureResult result;
  get(future, &result);
  expect(result.some && !result.taken);
  drop_future(future);
  if (result.error) return "error " + text_of(result.of.code);
  uint32_t size, sum;
  Text status = text_of(status_of(result.of.handle));
  Text headers = read_whole(result.of.handle, size, sum);
  return status + " " + text_of(size) + " " + text_of(sum) + headers;
}

static Text ask(Text text) {
  Call call;
  call.method = word(text), call.scheme = word(text), call.authority = word(text), call.path = word(text);
  call.milliseconds = number_in(word(text));
  call.headers = word(text);
  Text size = word(text);
  if (size != "-") call.size = number_in(size);
  return outcome(begin(call));
}

static Handle get_of(Text authority, Text path) {
  Call call;
  call.authority = authority, call.path = path;
  return begin(call);
}

static uint32_t first_ready(const std::vector<Handle> &pollables) {
  List ready;
  poll_all(pollables.data(), pollables.size(), &ready);
  expect(ready.size >= 1);
  uint32_t first = *static_cast<const uint32_t *>(ready.data);
  free(const_cast<void *>(ready.data));
  return first;
}

static Text race(Text text) {
  Handle timer = subscribe_duration(number_in(word(text)) * 1'000'000);
  Text authority = word(text);
  Handle future = get_of(authority, text), answer = subscribe(future);
  Text first = first_ready({answer, timer}) ? "time" : "answer";
  block(timer);
  drop_pollable(answer);
  drop_pollable(timer);
  return first + " " + outcome(future);
}

static Text two(Text text) {
  Text authority = word(text), path = word(text);
  Handle futures[2] = {get_of(authority, path), get_of(authority, text)};
  std::vector<Handle> pollables = {subscribe(futures[0]), subscribe(futures[1])};
  uint32_t first = first_ready(pollables);
  for (Handle each : pollables) drop_pollable(each);
  return outcome(futures[first]) + " | " + outcome(futures[1 - first]);
}

static Text spin(Text text) {
  Text authority = word(text);
  Handle future = get_of(authority, text);
  FutureResult result;
  do get(future, &result);
  while (!result.some);
  return result.error ? "error" : text_of(status_of(result.of.handle));
}

static Text leave(Text text) {
  Text authority = word(text);
  drop_future(get_of(authority, text));
  return "left";
}

static Text keep(Text text) {
  Text authority = word(text);
  Handle future = get_of(authority, text);
  Handle pollable = subscribe(future);
  block(pollable);
  drop_pollable(pollable);
  FutureResult result;
  get(future, &result);
  drop_future(future);
  return result.error ? "error " + text_of(result.of.code) : "kept";
}

static Text twice(Text text) {
  Text authority = word(text);
  Handle future = get_of(authority, text);
  Handle pollable = subscribe(future);
  block(pollable);
  FutureResult result, second;
  get(future, &result);
  get(future, &second);
  HandleResult body, again, stream, more;
  consume(result.of.handle, &body);
  consume(result.of.handle, &again);
  stream_of(body.handle, &stream);
  stream_of(body.handle, &more);
  return text_of(second.some) + text_of(second.taken) + text_of(again.error) + text_of(more.error);
}

static Text odd(Text text) {
  Call call;
  call.scheme = text, call.has_server = false, call.path = "/";
  return outcome(begin(call));
}

static Text late(Text text) {
  Call call;
  call.authority = word(text), call.path = text, call.method = "POST", call.size = 10, call.drops_body = true;
  return outcome(begin(call));
}

EXPORT("init") void init(const char *, size_t) {
  for (;;) {
    Received result = {};
    receive(&result);
    if (result.error || result.ok.is_response) continue;
    Text rest = take(result.ok.request.body), first = word(rest);
    Text (*obey)(Text) = first == "ask"     ? ask
                         : first == "race"  ? race
                         : first == "two"   ? two
                         : first == "spin"  ? spin
                         : first == "leave" ? leave
                         : first == "keep"  ? keep
                         : first == "twice" ? twice
                         : first == "odd"   ? odd
                                            : late;
    Text answer = obey(rest);
    send_response(0, answer.data(), answer.size(), 0, nullptr, 0, nullptr, 0, 0, 0, nullptr, 0, nullptr, 0);
  }
}

// Does what the words of a request's body say, with the standard libraries of C and C++, and answers with what came of
// it: "echo TEXT" (a blob is given back with any answer), "ask PROCESS PACKAGE PUBLISHER TEXT", "sleep MILLISECONDS",
// "env", "clock", "random", "write PATH TEXT", "read PATH", "list PATH", "remove PATH", "print TEXT" (in upper case to
// stderr), "panic TEXT", "exit CODE", "fill" (its memory), "spin". Compiled by `build.py`.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <functional>
#include <map>
#include <string>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <vector>

#define IMPORT(name) extern "C" __attribute__((import_module("nectar:process/standard@0.7.0"), import_name(name)))
#define EXPORT(name) extern "C" __attribute__((export_name(name)))

// The layouts of the canonical ABI.
struct List { const void *data; uint32_t size; };
struct Maybe { uint8_t some; List value; };
struct Seconds { uint8_t some; uint64_t value; };
struct Address { List node, process, package, publisher; };
struct Request { uint8_t inherit; Seconds expects_response; List body; Maybe metadata; List capabilities; };
struct Response { uint8_t inherit; List body; Maybe metadata; List capabilities; };
struct alignas(8) Received {
  uint8_t error;
  struct { Address source; uint8_t is_response; union { Request request; Response response; } of; } ok;
  uint64_t rest[8];
};
struct Blob { uint8_t some; Maybe mime; List bytes; };
struct SendAndAwait { Address target; Request request; Blob blob; };
static_assert(sizeof(Request) == 56 && sizeof(SendAndAwait) == 112);

IMPORT("receive") void receive(Received *result);
IMPORT("get-blob") void get_blob(Blob *result);
IMPORT("send-response") void send_response(
    int32_t inherit, const void *body, uint32_t body_size, int32_t has_metadata, const void *metadata,
    uint32_t metadata_size, const void *capabilities, uint32_t capability_count, int32_t has_blob, int32_t has_mime,
    const void *mime, uint32_t mime_size, const void *bytes, uint32_t bytes_size);
IMPORT("send-and-await-response") void send_and_await_response(const SendAndAwait *params, Received *result);

// Of WASI 0.2 itself, as a libc for `wasm32-wasip2` calls it.
extern "C" __attribute__((import_module("wasi:random/random@0.2.12"), import_name("get-random-u64")))
uint64_t get_random_u64();

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t alignment, size_t size) {
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

static Text refused() { return Text("refused: ") + strerror(errno); }

static Text word(Text &text) {
  auto end = std::min(text.find(' '), text.size());
  Text first = text.substr(0, end);
  text.erase(0, end + 1);
  return first;
}

static Text ask(Text text) {
  Text our = "our", process = word(text), package = word(text), publisher = word(text);
  SendAndAwait params = {};
  params.target = {lent(our), lent(process), lent(package), lent(publisher)};
  params.request.expects_response = {1, 5};
  params.request.body = lent(text);
  Received result = {};
  send_and_await_response(&params, &result);
  return result.error || !result.ok.is_response ? "no answer" : take(result.ok.of.response.body);
}

static Text sleep_for(Text text) {
  auto before = std::chrono::steady_clock::now();
  long milliseconds = strtol(text.c_str(), nullptr, 10);
  timespec time = {milliseconds / 1000, milliseconds % 1000 * 1'000'000};
  nanosleep(&time, nullptr);
  auto slept = std::chrono::steady_clock::now() - before;
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(slept).count()) + " ms";
}

extern "C" char **environ;

static Text env(Text) {
  int count = 0;
  while (environ && environ[count]) count++;
  return std::to_string(count) + " variables";
}

static Text wall_clock(Text) {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

static Text random_number(Text) {
  uint64_t number;
  if (getentropy(&number, sizeof number)) return refused();
  return std::to_string(get_random_u64()) + " " + std::to_string(number);
}

static Text write_file(Text text) {
  Text path = word(text);
  FILE *file = fopen(path.c_str(), "w");
  if (!file) return refused();
  bool whole = fwrite(text.data(), 1, text.size(), file) == text.size();
  struct stat found;
  if (fclose(file) || !whole || stat(path.c_str(), &found)) return refused();
  return std::to_string(found.st_size) + " bytes";
}

static Text read_file(Text path) {
  FILE *file = fopen(path.c_str(), "r");
  if (!file) return refused();
  Text text;
  char part[4096];
  for (size_t size; (size = fread(part, 1, sizeof part, file));) text.append(part, size);
  fclose(file);
  return text;
}

static Text list(Text path) {
  DIR *folder = opendir(path.c_str());
  if (!folder) return refused();
  std::vector<Text> names;
  while (dirent *entry = readdir(folder)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  closedir(folder);
  std::sort(names.begin(), names.end());
  Text all;
  for (const Text &name : names) all += (all.empty() ? "" : " ") + name;
  return all;
}

static Text remove_file(Text path) { return unlink(path.c_str()) ? refused() : "removed"; }

static Text print(Text text) {
  puts(text.c_str());
  fflush(stdout);
  for (char &each : text) each = static_cast<char>(toupper(each));
  fprintf(stderr, "%s\n", text.c_str());
  return "printed";
}

[[noreturn]] static Text panic(Text text) {
  fprintf(stderr, "%s\n", text.c_str());
  abort();
}

[[noreturn]] static Text leave(Text text) { exit(atoi(text.c_str())); }

static Text fill(Text) {
  for (std::vector<std::vector<char>> all;;) all.emplace_back(1 << 20, 1);
}

static Text spin(Text) {
  for (volatile int turns = 0;;) turns = turns + 1;
}

EXPORT("init") void init(const char *our, size_t size) {
  printf("%.*s begins\n", static_cast<int>(size), our);
  fflush(stdout);
  const std::map<Text, std::function<Text(Text)>> words = {
      {"echo", [](Text text) { return text; }}, {"ask", ask}, {"sleep", sleep_for}, {"env", env},
      {"clock", wall_clock}, {"random", random_number}, {"write", write_file}, {"read", read_file}, {"list", list},
      {"remove", remove_file}, {"print", print}, {"panic", panic}, {"exit", leave}, {"fill", fill}, {"spin", spin}};
  for (;;) {
    Received result = {};
    receive(&result);
    if (result.error || result.ok.is_response) continue;
    Blob blob = {};
    get_blob(&blob);
    Text rest = take(result.ok.of.request.body);
    auto found = words.find(word(rest));
    Text answer = found == words.end() ? "what?" : found->second(rest);
    send_response(0, answer.data(), answer.size(), 0, nullptr, 0, nullptr, 0, blob.some, 0, nullptr, 0,
                  blob.bytes.data, blob.bytes.size);
    if (blob.some) free(const_cast<void *>(blob.bytes.data));
  }
}

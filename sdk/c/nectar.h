/* Write Nectar processes in C.
 *
 *     #define NECTAR_IMPLEMENTATION
 *     #include "nectar.h"
 *
 *     void nectar_main(nectar_address our) {
 *         (void)our;
 *         for (;;) {
 *             nectar_event event;
 *             nectar_receive(&event);
 *             if (nectar_wants_answer(&event)) nectar_respond(&(nectar_reply){.body = event.body, .inherit = true});
 *         }
 *     }
 *
 * One source file of a process defines NECTAR_IMPLEMENTATION. No C library is needed: this is freestanding C11 for
 * 32-bit WebAssembly. What a process does not call does not get into it.
 *
 * Memory. Whatever these functions return (addresses, bodies, contexts, blobs, JSON, formatted text) lives until the
 * next `nectar_receive`. Copy what must live longer with `nectar_keep`. A loop that never receives calls `nectar_reset`.
 *
 * The message being handled. The kernel remembers which request a process would answer (its prompt), and whose blob it
 * would pass on. Receiving a request that wants an answer sets the prompt; receiving a response or an error puts back the
 * prompt under which that request was sent. So `nectar_respond` there answers the request that caused it.
 *
 * A process that returns, or traps, ends; its on-exit setting then applies. Out of memory is a trap with a line in the log.
 *
 * This file has two halves with the same sections. The first declares, for authors; `docs/hooks/c.py` makes the reference of
 * it. The second is the implementation, whose own names begin with `nectar__`:
 *
 * - texts and codes, memory, addresses
 * - messages, what the kernel keeps for a process (state, on-exit, children, capabilities)
 * - text and log, JSON, structs as JSON and state with a version
 * - timer, clock, random
 * - clients of system processes: files, databases, pages and WebSockets, servers of the internet
 */
#ifndef NECTAR_H
#define NECTAR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- texts and codes --- */

/* A text in UTF-8, or bytes. `ptr` is NULL where there is none. There is no zero at the end. */
typedef struct {
    const char *ptr;
    size_t len;
} nectar_text;

/* A text of a literal, also in a constant. */
#define NECTAR_TEXT(literal) {(literal), sizeof(literal) - 1}
/* A text for `%.*s`. */
#define NECTAR_ARG(text) (int)(text).len, (text).ptr

/* The text of a C string, which is not copied. */
nectar_text nectar_string(const char *string);
/* Whether both have the same bytes. */
bool nectar_same(nectar_text a, nectar_text b);
/* Whether a text is that of a C string. */
bool nectar_is(nectar_text text, const char *string);
/* Whether a text begins with a C string. */
bool nectar_starts(nectar_text text, const char *string);
/* Whether a C string is somewhere in a text. */
bool nectar_contains(nectar_text text, const char *string);

/* A JSON value, as the text that spells it, inside the text that was parsed: nothing is copied. Of one that is not there
 * `ptr` is NULL, and whatever is asked of it fails: so fields of fields can be asked for without a check between. */
typedef nectar_text nectar_json;

/* What came of something. */
typedef enum {
    NECTAR_OK = 0,
    NECTAR_OFFLINE,     /* the other node, or the process, cannot be reached */
    NECTAR_TIMEOUT,     /* no answer in time: nobody knows whether it was done */
    NECTAR_REFUSED,     /* the answer is {"Err": reason} */
    NECTAR_NOT_FOUND,   /* no such file, or key */
    NECTAR_BAD_JSON,    /* not JSON, or not of the shape that is wanted */
    NECTAR_BAD_ADDRESS, /* not node@process:package:publisher */
    NECTAR_BAD_STATE,   /* what is saved is of a later version, or cannot be read */
    NECTAR_NAME_TAKEN,  /* a child of that name is there */
    NECTAR_NO_FILE      /* the package has no such file */
} nectar_code;

/* A sentence for a code that was just returned, with the reason that the other side has given, if there is one. */
nectar_text nectar_explain(nectar_code code);

/* --- memory --- */

/* Memory for what outlives a message; traps if there is none left. */
void *nectar_alloc(size_t bytes);
/* Free what `nectar_alloc` or `nectar_keep` has given; NULL is nothing. */
void nectar_free(void *ptr);
/* A copy that outlives the message; give `nectar_free` its `ptr`. */
nectar_text nectar_keep(nectar_text text);
/* Memory for what is needed only while the current message is handled. */
void *nectar_arena(size_t bytes);
/* Free all that was returned since the last `nectar_receive`, as the next one would. */
void nectar_reset(void);
/* memmove, also of no bytes from NULL. */
void *nectar_copy(void *to, const void *from, size_t bytes);

/* --- addresses --- */

/* What a process is called on its node: `process:package:publisher`. */
typedef struct {
    nectar_text process, package, publisher;
} nectar_process_id;

/* `node@process:package:publisher`; "our" as the node means this node. */
typedef struct {
    nectar_text node;
    nectar_process_id process;
} nectar_address;

/* Only the shape is checked, the kernel checks the rest. The parts point into `text`. */
nectar_code nectar_address_parse(nectar_text text, nectar_address *address);
/* A process of this node: nectar_local("timer:distro:sys"). Traps if that is none. */
nectar_address nectar_local(const char *process);
/* A process of any node. */
nectar_address nectar_on(nectar_text node, nectar_process_id process);
/* The text of an address. */
nectar_text nectar_address_text(nectar_address address);
/* Whether both are one process. */
bool nectar_address_same(nectar_address a, nectar_address b);
/* Whether both are processes of one package on one node. Of another node only its name is proven. */
bool nectar_same_package(nectar_address a, nectar_address b);
/* A copy that outlives the message. */
nectar_address nectar_address_keep(nectar_address address);
/* What `nectar_main` was given. */
nectar_address nectar_our(void);

/* --- messages --- */

/* Bytes that enter a process only if it calls `nectar_get_blob`. */
typedef struct {
    nectar_text mime;
    nectar_text bytes;
} nectar_blob;

/* The right to do what `params`, a JSON text, say. */
typedef struct {
    nectar_address issuer;
    nectar_text params;
} nectar_capability;

/* Some capabilities. */
typedef struct {
    const nectar_capability *ptr;
    size_t len;
} nectar_capabilities;

/* What kind of message has arrived. */
typedef enum { NECTAR_REQUEST, NECTAR_RESPONSE, NECTAR_SEND_ERROR } nectar_event_kind;

/* What has arrived. */
typedef struct {
    nectar_event_kind kind;
    /* Of a request or a response. On another node, only `source.node` is proven. */
    nectar_address source;
    bool inherit;
    /* Of a request: whether an answer is wanted, and for how many seconds the requester waits. */
    bool expects_response;
    uint64_t seconds;
    /* Of a send error it is what was sent. */
    nectar_text body;
    nectar_text metadata;
    nectar_capabilities capabilities;
    /* Of a response or a send error: what the request was sent with. */
    nectar_text context;
    /* Of a send error: NECTAR_OFFLINE or NECTAR_TIMEOUT, whether it was a request (else a response), and its blob. */
    nectar_code error;
    bool of_request;
    bool has_blob;
    nectar_blob blob;
} nectar_event;

/* What to send. Give it with what you want set: &(nectar_request){.target = …, .body = …}. */
typedef struct {
    nectar_address target;
    nectar_text body;
    /* Until a timeout; 0: no answer is wanted, unless `expects_response` says so. */
    uint64_t seconds;
    bool expects_response;
    /* Pass on the current blob (unless `blob` is set) and, if no answer is expected, the current prompt: then the
     * answer goes to whoever waits for ours. */
    bool inherit;
    /* Comes back with the outcome; never leaves this node. */
    nectar_text context;
    nectar_text metadata; /* JSON */
    nectar_capabilities capabilities;
    const nectar_blob *blob;
} nectar_request;

/* What to answer. */
typedef struct {
    nectar_text body;
    bool inherit; /* pass on the current blob, unless `blob` is set */
    nectar_text metadata;
    nectar_capabilities capabilities;
    const nectar_blob *blob;
} nectar_reply;

/* Wait for the next message. Frees everything that belonged to the one before. */
void nectar_receive(nectar_event *event);
/* Whether it is a request whose sender may wait. While handling one that wants none, `nectar_respond` would answer an
 * older one. */
bool nectar_wants_answer(const nectar_event *event);
/* Send a request. The outcome, if one is expected, arrives with `nectar_receive`. */
void nectar_send(const nectar_request *request);
/* Send several requests with one call. */
void nectar_send_all(const nectar_request *requests, size_t count);
/* Send a request, whose `seconds` must be set, and wait for its response while all other messages queue up. Returns
 * NECTAR_OFFLINE or NECTAR_TIMEOUT if there is none; `response` may be NULL. */
nectar_code nectar_await(const nectar_request *request, nectar_event *response);
/* A request to a system process, or to any that answers {"Err": reason} if it does not do what is asked. `answer` may be
 * NULL; `blob` is sent, `got` is the blob that came back, and either may be NULL. */
nectar_code nectar_ask(nectar_address target, nectar_text body, uint64_t seconds, const nectar_blob *blob,
                       nectar_json *answer, nectar_text *got);
/* Answer the request that is the current prompt. */
void nectar_respond(const nectar_reply *reply);
/* The current message's blob; false: it has none. */
bool nectar_get_blob(nectar_blob *blob);

/* --- what the kernel keeps for a process --- */

/* What `nectar_set_state` has saved; false: nothing. */
bool nectar_get_state(nectar_text *state);
/* Save bytes; durable when this returns. */
void nectar_set_state(nectar_text state);
/* Forget what is saved. */
void nectar_clear_state(void);

/* What happens at the end of a process: nothing, it is started again, or requests are sent. */
typedef enum { NECTAR_EXIT_NONE, NECTAR_EXIT_RESTART, NECTAR_EXIT_REQUESTS } nectar_on_exit_kind;

/* What happens when this process returns or traps. Of the requests count target, body, inherit and blob. */
typedef struct {
    nectar_on_exit_kind kind;
    const nectar_request *requests;
    size_t count;
} nectar_on_exit;

/* Say what happens when this process ends. */
void nectar_set_on_exit(const nectar_on_exit *on_exit);
/* What was said last, or in the manifest. */
void nectar_get_on_exit(nectar_on_exit *on_exit);

/* What to start with `nectar_spawn`. */
typedef struct {
    nectar_text name;      /* NULL: a random number */
    const char *wasm_path; /* a file of our package, such as "/worker.wasm" */
    nectar_on_exit on_exit;
    nectar_capabilities request_capabilities;
    /* Processes that may message the child. */
    const nectar_process_id *grant_capabilities;
    size_t grant_count;
    bool is_public; /* whether every process of this node may */
} nectar_child;

/* Start a child: NECTAR_NAME_TAKEN, NECTAR_NO_FILE. */
nectar_code nectar_spawn(const nectar_child *child, nectar_process_id *started);

/* All that this process holds. */
nectar_capabilities nectar_our_capabilities(void);
/* Hold capabilities that came with a message, or make ones of which we are the issuer. */
void nectar_save_capabilities(nectar_capabilities list);
/* Hold these no longer. */
void nectar_drop_capabilities(nectar_capabilities list);

/* --- text and log --- */

/* As printf has it, of d i u x c s g and %, with * . l ll z: text that lives until the next message. %g writes the
 * shortest text that reads back as the same number. */
__attribute__((format(printf, 1, 2))) nectar_text nectar_format(const char *format, ...);

/* How serious a line is. */
typedef enum { NECTAR_ERROR, NECTAR_WARNING, NECTAR_INFO, NECTAR_DEBUG } nectar_level;

/* A line of the node's terminal and log. Errors and warnings are always shown, NECTAR_INFO with verbosity 1,
 * NECTAR_DEBUG with 2. */
__attribute__((format(printf, 2, 3))) void nectar_log(nectar_level level, const char *format, ...);
/* From now on only what is at least that serious; at first NECTAR_INFO. */
void nectar_log_level(nectar_level level);
/* Print a line with a verbosity: 0 is always shown, 3 only to those who look for everything. */
void nectar_print(unsigned verbosity, nectar_text line);
/* Print a sentence and trap. */
_Noreturn void nectar_panic(const char *sentence);

/* --- JSON --- */

/* What a value is; NECTAR_JSON_NONE: there is no value. */
typedef enum {
    NECTAR_JSON_NONE,
    NECTAR_JSON_NULL,
    NECTAR_JSON_BOOL,
    NECTAR_JSON_NUMBER,
    NECTAR_JSON_TEXT,
    NECTAR_JSON_ARRAY,
    NECTAR_JSON_OBJECT
} nectar_json_kind;

/* How deep arrays and objects may be in each other. */
#define NECTAR_JSON_DEPTH 64

/* Check a whole text, by RFC 8259: valid UTF-8, no half of a surrogate pair, nested NECTAR_JSON_DEPTH deep at most. */
nectar_code nectar_json_parse(nectar_text text, nectar_json *value);
/* What a value is. */
nectar_json_kind nectar_json_kind_of(nectar_json value);
/* A field of an object, the last one if several have that name. */
nectar_json nectar_json_field(nectar_json object, const char *key);
/* Whether it is a truth value, and which. This one and the next four write nothing if the value is of another kind or does
 * not fit. */
bool nectar_json_bool(nectar_json value, bool *out);
/* Whether it is a whole number of that range, and which. 1.0 is none. */
bool nectar_json_u64(nectar_json value, uint64_t *out);
/* Whether it is a whole number of that range, and which. 1.0 is none. */
bool nectar_json_i64(nectar_json value, int64_t *out);
/* Whether it is a number that is not too large, and which; the nearest double. */
bool nectar_json_double(nectar_json value, double *out);
/* Whether it is a text, and which. */
bool nectar_json_text(nectar_json value, nectar_text *out);
/* As Rust's serde spells an enum: "Name" has no payload (its `ptr` is NULL), {"Name": payload} has one. */
bool nectar_json_variant(nectar_json value, nectar_text *name, nectar_json *payload);

/* A place in an array or an object, to go through it:
 *
 *     nectar_json list = nectar_string("[1, 2.5]");
 *     nectar_items items = nectar_json_items(list);
 *     while (nectar_json_next(&items)) nectar_print(0, items.value);
 *
 * Of an object, `items.key` is the name of the field. */
typedef struct {
    nectar_text key;
    nectar_json value;
    const char *at, *end;
    bool object;
} nectar_items;

/* The place before the first item; of any other value, a place behind which there is none. */
nectar_items nectar_json_items(nectar_json value);
/* Go to the next item; false: there are no more. */
bool nectar_json_next(nectar_items *items);

/* What writes JSON. Begin with `nectar_writer w = {0};`. Commas and colons come by themselves. Of the functions below,
 * `key` is NULL at the top and in an array. */
typedef struct {
    char *ptr;
    size_t len, room;
    uint64_t arrays; /* a bit for each level that is open: whether it is an array */
    unsigned depth;
} nectar_writer;

/* Begin an object. */
void nectar_put_object(nectar_writer *writer, const char *key);
/* Begin an array. */
void nectar_put_array(nectar_writer *writer, const char *key);
/* End what was begun last. */
void nectar_put_end(nectar_writer *writer);
/* Write null. */
void nectar_put_null(nectar_writer *writer, const char *key);
/* Write true or false. */
void nectar_put_bool(nectar_writer *writer, const char *key, bool value);
/* Write a whole number. */
void nectar_put_u64(nectar_writer *writer, const char *key, uint64_t value);
/* Write a whole number. */
void nectar_put_i64(nectar_writer *writer, const char *key, int64_t value);
/* Write a float; 1.0 stays one. Traps if it is not finite: that has no JSON. */
void nectar_put_double(nectar_writer *writer, const char *key, double value);
/* Write a text. What is no UTF-8 becomes '?'. */
void nectar_put_text(nectar_writer *writer, const char *key, nectar_text value);
/* Write a C string. */
void nectar_put_string(nectar_writer *writer, const char *key, const char *value);
/* Write a value as its text. */
void nectar_put_json(nectar_writer *writer, const char *key, nectar_json value);
/* What is written, with an end to all that is still open. */
nectar_text nectar_written(nectar_writer *writer);

/* --- structs as JSON, and state with a version --- */

/* The type of a field: uint64_t, int64_t, double, bool, nectar_text, or nectar_json as it is. */
typedef enum { NECTAR_U64, NECTAR_I64, NECTAR_DOUBLE, NECTAR_BOOL, NECTAR_STR, NECTAR_RAW } nectar_field_kind;

/* A field of a struct. */
typedef struct {
    const char *name;
    size_t offset;
    nectar_field_kind kind;
} nectar_field;

/* The field of a struct that has this name there and in JSON. */
#define NECTAR_FIELD(type, name, kind) {#name, offsetof(type, name), kind}
/* What stands behind the last field. */
#define NECTAR_END {NULL, 0, NECTAR_U64}

/* Read the fields that `object` has; others stay what they are. False: one is of another kind. */
bool nectar_read_struct(nectar_json object, const nectar_field *fields, void *value);
/* Put the fields into the object that is open. */
void nectar_put_struct(nectar_writer *writer, const nectar_field *fields, const void *value);

/* A struct that is saved as {"version": 2, "count": 5}. */
typedef struct {
    uint64_t version;
    const nectar_field *fields;
    /* Fill `value` from what version `from` has saved: JSON or, of version 1, any bytes that are no object with a version,
     * as a process has saved them before it had such a state. False: they cannot be read. NULL: there are none. */
    bool (*migrate)(uint64_t from, nectar_text saved, void *value);
} nectar_state;

/* Load what is saved into `value`, whose defaults stay where nothing is; migrated and saved again if it is of an earlier
 * version. Its texts live until the next message. NECTAR_BAD_STATE. */
nectar_code nectar_load(const nectar_state *state, void *value);
/* Save a struct; durable when this returns. */
void nectar_save(const nectar_state *state, const void *value);

/* --- timer, clock, random --- */

/* Wait; other messages queue up. The manifest asks for timer:distro:sys, here and for `nectar_timer`. */
nectar_code nectar_sleep(uint64_t milliseconds);
/* A response with that context arrives when the time is over. */
void nectar_timer(uint64_t milliseconds, nectar_text context);
/* Nanoseconds since 1970; in a simulation, its virtual time. */
uint64_t nectar_now(void);
/* Nanoseconds of a clock that never goes back. */
uint64_t nectar_monotonic(void);
/* Fill with random bytes of the node's; in a simulation they come from its seed. */
void nectar_random(void *bytes, size_t count);
/* From 0 up to `below`, each as likely. */
uint64_t nectar_random_below(uint64_t below);

/* --- files: vfs:distro:sys --- */

/* What is known of a file or folder. */
typedef struct {
    nectar_text file_type; /* File, Directory, Symlink, Other */
    uint64_t len;
    int64_t modified; /* seconds since 1970 */
} nectar_metadata;

/* One of a folder. */
typedef struct {
    nectar_text path, name, file_type;
} nectar_entry;

/* The path of a drive of our package: "/package:publisher/name". */
nectar_text nectar_drive(const char *name);
/* Any action that the vfs knows, as JSON. */
nectar_code nectar_vfs(nectar_text path, nectar_json action, const nectar_text *data, nectar_json *answer,
                       nectar_text *got);
/* Make a drive, unless it is there. */
nectar_code nectar_create_drive(nectar_text path);
/* Make a folder and those above it, unless they are there. */
nectar_code nectar_create_dir(nectar_text path);
/* Make an empty file; one that is there loses its content. */
nectar_code nectar_create_file(nectar_text path);
/* A whole file, of at most 64 MiB. */
nectar_code nectar_read_file(nectar_text path, nectar_text *data);
/* Bytes from `offset` on; fewer at the end of the file. */
nectar_code nectar_read_at(nectar_text path, uint64_t offset, uint64_t length, nectar_text *data);
/* Replace a file, or make it: whoever reads it finds the old or the new one, whole. */
nectar_code nectar_write_file(nectar_text path, nectar_text data);
/* Write into a file that is there, from `offset` on. */
nectar_code nectar_write_at(nectar_text path, uint64_t offset, nectar_text data);
/* Write at the end of a file that is there. */
nectar_code nectar_append(nectar_text path, nectar_text data);
/* Cut a file off, or fill it up with zeros. */
nectar_code nectar_set_length(nectar_text path, uint64_t length);
/* Make what was written durable. */
nectar_code nectar_sync(nectar_text path);
/* Give a file or folder another path. */
nectar_code nectar_rename(nectar_text path, nectar_text new_path);
/* Copy a file. */
nectar_code nectar_copy_file(nectar_text path, nectar_text new_path);
/* Remove a file. */
nectar_code nectar_remove_file(nectar_text path);
/* Remove a folder with all that is in it. */
nectar_code nectar_remove_dir(nectar_text path);
/* What is known of a file or folder. */
nectar_code nectar_metadata_of(nectar_text path, nectar_metadata *found);
/* Bytes that our files may still grow by. */
nectar_code nectar_free_space(nectar_text path, uint64_t *bytes);
/* BLAKE3 of a whole file; may take long. */
nectar_code nectar_hash(nectar_text path, uint8_t hash[32]);
/* A page of a folder: `*count` entries behind the name `after`, which is "" at first; none are left when it is 0. */
nectar_code nectar_read_dir(nectar_text path, nectar_text after, const nectar_entry **entries, size_t *count);

/* What the vfs tells whoever watches a path. */
typedef struct {
    nectar_text path; /* as it was watched */
    bool ended;       /* it is not watched any more: we may not read it now */
    bool more;        /* more has changed than `changes` has room for */
    /* A JSON array of paths at which something may have changed: at the watched one, below it or above it. */
    nectar_json changes;
} nectar_change;

/* Be told when something may have changed at a path, by requests that `nectar_change_parse` reads. Nobody is told of what
 * it has changed itself. */
nectar_code nectar_watch(nectar_text path);
/* Be told no longer. */
nectar_code nectar_unwatch(nectar_text path);
/* What the vfs tells us; false: the message is another one. Answer it, if `nectar_wants_answer`: until then changes are
 * gathered. */
bool nectar_change_parse(const nectar_event *event, nectar_change *change);

/* --- databases: kv:distro:sys and sqlite:distro:sys --- */

/* Open a database of keys and values of our package, and make it if there is none. */
nectar_code nectar_kv_open(const char *db);
/* Remove it with all that is in it. */
nectar_code nectar_kv_remove(const char *db);
/* The value of a key, or NECTAR_NOT_FOUND. */
nectar_code nectar_kv_get(const char *db, nectar_text key, nectar_text *value);
/* Set a key. `transaction` is 0, or what `nectar_kv_begin` has given; so it is below. */
nectar_code nectar_kv_set(const char *db, nectar_text key, nectar_text value, uint64_t transaction);
/* Remove a key. */
nectar_code nectar_kv_delete(const char *db, nectar_text key, uint64_t transaction);
/* Begin a transaction: what belongs to it is done when it is committed, or nothing of it. */
nectar_code nectar_kv_begin(const char *db, uint64_t *transaction);
/* Do what belongs to a transaction; durable when this returns. */
nectar_code nectar_kv_commit(const char *db, uint64_t transaction);

/* Open a database for SQL of our package, and make it if there is none. */
nectar_code nectar_sqlite_open(const char *db);
/* Remove it with all that is in it. */
nectar_code nectar_sqlite_remove(const char *db);
/* Ask for rows. `parameters`: a JSON array, or {0}. `rows`: a JSON array of objects by the names of the columns. */
nectar_code nectar_sqlite_read(const char *db, const char *query, nectar_json parameters, nectar_json *rows);
/* Do one statement that changes something. `transaction` is 0, or what `nectar_sqlite_begin` has given. */
nectar_code nectar_sqlite_write(const char *db, const char *statement, nectar_json parameters, uint64_t transaction);
/* Begin a transaction: what belongs to it is done when it is committed, or nothing of it. */
nectar_code nectar_sqlite_begin(const char *db, uint64_t *transaction);
/* Do what belongs to a transaction; durable when this returns. */
nectar_code nectar_sqlite_commit(const char *db, uint64_t transaction);

/* --- pages and WebSockets: http-server:distro:sys --- */

/* To whom a path is served. */
typedef struct {
    bool authenticated; /* only to who has signed in */
    bool local_only;    /* only to the node's own machine */
    bool extension;     /* of a WebSocket: to a program of the node's machine that works for this process */
} nectar_http_options;

/* Answer requests for a path below the process's name. NECTAR_REFUSED, here and below: the server does not bind it; the
 * node's log says why. */
nectar_code nectar_http_bind(const char *path, nectar_http_options options);
/* Let the server answer GET with a page itself. */
nectar_code nectar_http_serve(const char *path, const char *mime, nectar_text page, nectar_http_options options);
/* Let the server answer GET with a file that we may read, "/chess:sys/pkg/help.html", from the disk. */
nectar_code nectar_http_serve_file(const char *path, nectar_text file, nectar_http_options options);
/* Let the server answer GET with a folder of ours, "/chess:sys/pkg/ui", which it reads from the disk. */
nectar_code nectar_http_serve_folder(const char *path, nectar_text folder, nectar_http_options options);
/* Answer requests for a path whose bodies, of any length, go to files of a folder in a drive of ours, "/chess:sys/data/sent":
 * `body_file` says where. `limit`: bytes of one body; 0: the package's quota is the limit. */
nectar_code nectar_http_receive_files(const char *path, nectar_text folder, uint64_t limit, nectar_http_options options);
/* Let browsers open WebSockets at a path below the process's name. */
nectar_code nectar_http_bind_socket(const char *path, nectar_http_options options);

/* What a browser has done. */
typedef enum { NECTAR_PAGE, NECTAR_SOCKET_OPEN, NECTAR_SOCKET_MESSAGE, NECTAR_SOCKET_CLOSE } nectar_http_kind;

/* A body that has become a file of our package, to keep or remove. */
typedef struct {
    nectar_text path; /* `ptr` is NULL: the body is no file */
    uint64_t length;
    nectar_text hash; /* BLAKE3, in hex */
} nectar_body_file;

/* What a browser does. */
typedef struct {
    nectar_http_kind kind;
    /* Of NECTAR_PAGE; the body is the blob, or the file. The JSON objects are like {"id":"7"}. */
    nectar_text method, url, bound_path;
    nectar_json headers, url_params, query_params;
    nectar_body_file body_file;
    /* Of a WebSocket; what was sent is the blob. */
    uint32_t channel;
    nectar_text path;
    nectar_text message_type; /* Text, Binary, Ping, Pong, Close */
} nectar_http_event;

/* What a browser does; false: it comes from somebody else than our node's server, or is of another kind. Only
 * NECTAR_PAGE wants an answer. */
bool nectar_http_parse(const nectar_event *event, nectar_http_event *parsed);

/* What to answer a browser. */
typedef struct {
    unsigned status;     /* 0: 200 */
    nectar_json headers; /* a JSON object, or {0} */
    const char *mime;    /* the Content-Type; NULL: none but that of `headers` */
    nectar_text body;
    nectar_text file; /* in place of a body: a file that we may read, of any length */
} nectar_http_answer;

/* Answer the browser's request that is being handled. */
void nectar_http_reply(const nectar_http_answer *answer);
/* The same with a body alone. */
void nectar_http_respond(unsigned status, const char *mime, nectar_text body);
/* The same with a file of ours, "/chess:sys/data/film.webm", of any length. */
void nectar_http_respond_file(unsigned status, nectar_text path);
/* Send text by WebSocket. A channel whose browser reads too slowly, or has gone, ends with NECTAR_SOCKET_CLOSE. */
void nectar_http_push(uint32_t channel, nectar_text text);
/* Send bytes by WebSocket. */
void nectar_http_push_bytes(uint32_t channel, nectar_text bytes);
/* End a WebSocket. NECTAR_SOCKET_CLOSE still comes. */
void nectar_http_close(uint32_t channel);

/* --- servers of the internet: http_client:distro:sys --- */

/* What to ask a server. */
typedef struct {
    const char *method; /* NULL: GET */
    nectar_text url;
    nectar_json headers; /* a JSON object, or {0} */
    nectar_text body;
    uint64_t seconds; /* for the whole answer; 0: 30 */
} nectar_fetch_request;

/* What a server has answered, whatever its status. */
typedef struct {
    uint64_t status;
    nectar_json headers; /* by their names in lower case */
    nectar_text body;
} nectar_fetched;

/* Ask a server and wait for its answer; other messages wait meanwhile. */
nectar_code nectar_fetch(const nectar_fetch_request *request, nectar_fetched *fetched);

/* --- the process --- */

/* What the author writes. `our` lives as long as the process. */
void nectar_main(nectar_address our);

#endif /* NECTAR_H */

#ifdef NECTAR_IMPLEMENTATION
#ifndef NECTAR_IMPLEMENTED
#define NECTAR_IMPLEMENTED

/* --- what a C library would have; the compiler's own library has memcpy and the like --- */

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *at, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

static size_t nectar__length(const char *string) {
    size_t length = 0;
    while (string[length] != 0) length++;
    return length;
}

nectar_text nectar_string(const char *string) {
    return (nectar_text){string, string == NULL ? 0 : nectar__length(string)};
}

bool nectar_same(nectar_text a, nectar_text b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool nectar_is(nectar_text text, const char *string) { return nectar_same(text, nectar_string(string)); }

bool nectar_starts(nectar_text text, const char *string) {
    size_t length = nectar__length(string);
    return text.len >= length && nectar_is((nectar_text){text.ptr, length}, string);
}

bool nectar_contains(nectar_text text, const char *string) {
    for (size_t length = nectar__length(string); text.len >= length && text.len > 0; text.ptr++, text.len--)
        if (nectar_starts(text, string)) return true;
    return false;
}

/* --- the interface: nectar:process/standard@0.7.0 by the Component Model's canonical ABI. Parameters are passed as up to
 * 16 flat values, or else by a pointer to a record of them; results of more than one value through a last pointer. --- */

#define NECTAR__IMPORT(name) __attribute__((import_module("nectar:process/standard@0.7.0"), import_name(name)))
#define NECTAR__WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(name)))

typedef struct {
    uint8_t some;
    nectar_text value;
} nectar__text_option;

typedef struct {
    uint8_t some;
    uint64_t value;
} nectar__u64_option;

typedef struct {
    nectar__text_option mime;
    nectar_text bytes;
} nectar__blob;

typedef struct {
    uint8_t some;
    nectar__blob value;
} nectar__blob_option;

typedef struct {
    uint8_t inherit;
    nectar__u64_option seconds;
    nectar_text body;
    nectar__text_option metadata;
    nectar_capabilities capabilities;
} nectar__request;

typedef struct {
    uint8_t inherit;
    nectar_text body;
    nectar__text_option metadata;
    nectar_capabilities capabilities;
    nectar__text_option context; /* of the tuple around it */
} nectar__response;

typedef struct {
    uint8_t tag;
    union {
        nectar__request request;
        nectar__response response;
    } of;
} nectar__message;

typedef struct {
    nectar_address source;
    nectar__message message;
} nectar__arrival;

typedef struct {
    uint8_t kind;
    nectar__message message;
    nectar__blob_option blob;
} nectar__send_error;

typedef struct {
    nectar__send_error error;
    nectar__text_option context;
} nectar__failure;

typedef struct {
    uint8_t tag;
    union {
        nectar__arrival ok;
        nectar__failure err;
    } of;
} nectar__received;

typedef struct {
    uint8_t tag;
    union {
        nectar__arrival ok;
        nectar__send_error err;
    } of;
} nectar__awaited;

typedef struct {
    uint8_t tag;
    union {
        nectar_process_id ok;
        uint8_t err;
    } of;
} nectar__spawned;

typedef struct {
    nectar_address target;
    nectar__request request;
    nectar__text_option context;
    nectar__blob_option blob;
} nectar__send;

typedef struct {
    nectar_address target;
    nectar__request request;
    nectar__blob_option blob;
} nectar__send_and_await;

typedef nectar__send_and_await nectar__on_exit_request;

typedef struct {
    uint8_t tag;
    const nectar__on_exit_request *ptr;
    size_t len;
} nectar__on_exit;

NECTAR__IMPORT("print-to-terminal") void nectar__print(uint32_t verbosity, const char *ptr, size_t len);
NECTAR__IMPORT("set-on-exit") void nectar__set_on_exit(uint32_t tag, const nectar__on_exit_request *ptr, size_t len);
NECTAR__IMPORT("get-on-exit") void nectar__get_on_exit(nectar__on_exit *result);
NECTAR__IMPORT("get-state") void nectar__get_state(nectar__text_option *result);
NECTAR__IMPORT("set-state") void nectar__set_state(const char *ptr, size_t len);
NECTAR__IMPORT("clear-state") void nectar__clear_state(void);
NECTAR__IMPORT("spawn")
void nectar__spawn(uint32_t has_name, const char *name, size_t name_len, const char *path, size_t path_len, uint32_t tag,
                   const nectar__on_exit_request *on_exit, size_t on_exit_len, const nectar_capability *requests,
                   size_t requests_len, const nectar_process_id *grants, size_t grants_len, uint32_t is_public,
                   nectar__spawned *result);
NECTAR__IMPORT("save-capabilities") void nectar__save_capabilities(const nectar_capability *ptr, size_t len);
NECTAR__IMPORT("drop-capabilities") void nectar__drop_capabilities(const nectar_capability *ptr, size_t len);
NECTAR__IMPORT("our-capabilities") void nectar__our_capabilities(nectar_capabilities *result);
NECTAR__IMPORT("receive") void nectar__receive(nectar__received *result);
NECTAR__IMPORT("get-blob") void nectar__get_blob(nectar__blob_option *result);
NECTAR__IMPORT("send-request") void nectar__send_request(const nectar__send *params);
NECTAR__IMPORT("send-requests") void nectar__send_requests(const nectar__send *ptr, size_t len);
NECTAR__IMPORT("send-response")
void nectar__send_response(uint32_t inherit, const char *body, size_t body_len, uint32_t has_metadata,
                           const char *metadata, size_t metadata_len, const nectar_capability *capabilities,
                           size_t capabilities_len, uint32_t has_blob, uint32_t has_mime, const char *mime,
                           size_t mime_len, const char *bytes, size_t bytes_len);
NECTAR__IMPORT("send-and-await-response")
void nectar__send_and_await_response(const nectar__send_and_await *params, nectar__awaited *result);
NECTAR__WASI("clock_time_get") int32_t nectar__clock_time_get(int32_t clock, int64_t precision, uint64_t *time);
NECTAR__WASI("random_get") int32_t nectar__random_get(uint8_t *bytes, size_t count);

/* --- memory: a list of free blocks in the order of their addresses, and an arena of such blocks --- */

_Noreturn void nectar_panic(const char *sentence) {
    nectar__print(0, sentence, nectar__length(sentence)); /* no allocation: that may be what failed */
    __builtin_trap();
}

typedef struct nectar__block {
    size_t bytes; /* with this header */
    struct nectar__block *next;
    size_t unused[2]; /* what follows is aligned to 16 */
} nectar__block;

enum { NECTAR__PAGE_BYTES = 65536, NECTAR__MAX_BYTES = 1 << 30, NECTAR__KEPT_BYTES = 65536, NECTAR__ARENA_BYTES = 8192 };

static nectar__block *nectar__free_blocks;

static void nectar__give_back(nectar__block *block) {
    nectar__block **place = &nectar__free_blocks;
    while (*place != NULL && (uintptr_t)*place < (uintptr_t)block) {
        if ((uintptr_t)*place + (*place)->bytes == (uintptr_t)block) { /* grows the one before it, and then that one's next */
            nectar__block *before = *place;
            before->bytes += block->bytes;
            if ((uintptr_t)before + before->bytes == (uintptr_t)before->next) {
                before->bytes += before->next->bytes;
                before->next = before->next->next;
            }
            return;
        }
        place = &(*place)->next;
    }
    block->next = *place;
    if (block->next != NULL && (uintptr_t)block + block->bytes == (uintptr_t)block->next) {
        block->bytes += block->next->bytes;
        block->next = block->next->next;
    }
    *place = block;
}

void *nectar_alloc(size_t bytes) {
    if (bytes > NECTAR__MAX_BYTES) nectar_panic("out of memory");
    size_t needed = ((bytes + 15) & ~(size_t)15) + sizeof(nectar__block);
    for (;;) {
        for (nectar__block **place = &nectar__free_blocks; *place != NULL; place = &(*place)->next) {
            nectar__block *block = *place;
            if (block->bytes < needed) continue;
            if (block->bytes - needed > 2 * sizeof(nectar__block)) {
                nectar__block *rest = (nectar__block *)((uintptr_t)block + needed);
                rest->bytes = block->bytes - needed;
                rest->next = block->next;
                block->bytes = needed;
                *place = rest;
            } else {
                *place = block->next;
            }
            return block + 1;
        }
        size_t pages = (needed + NECTAR__PAGE_BYTES - 1) / NECTAR__PAGE_BYTES;
        size_t before = __builtin_wasm_memory_grow(0, pages);
        if (before == SIZE_MAX) nectar_panic("out of memory");
        nectar__block *grown = (nectar__block *)(before * NECTAR__PAGE_BYTES);
        grown->bytes = pages * NECTAR__PAGE_BYTES;
        nectar__give_back(grown);
    }
}

void nectar_free(void *ptr) {
    if (ptr != NULL) nectar__give_back((nectar__block *)ptr - 1);
}

void *nectar_copy(void *to, const void *from, size_t bytes) { return bytes == 0 ? to : memmove(to, from, bytes); }

nectar_text nectar_keep(nectar_text text) {
    char *copy = nectar_alloc(text.len);
    nectar_copy(copy, text.ptr, text.len);
    return (nectar_text){copy, text.len};
}

typedef struct nectar__chunk {
    struct nectar__chunk *next;
    size_t used, room;
    size_t unused;
} nectar__chunk;

static nectar__chunk *nectar__arena;
static nectar_text nectar__reason;

void *nectar_arena(size_t bytes) {
    if (bytes > NECTAR__MAX_BYTES) nectar_panic("out of memory");
    size_t needed = (bytes + 7) & ~(size_t)7;
    if (nectar__arena == NULL || nectar__arena->room - nectar__arena->used < needed) {
        size_t room = nectar__arena == NULL ? NECTAR__ARENA_BYTES : 2 * nectar__arena->room;
        if (room > NECTAR__KEPT_BYTES) room = NECTAR__KEPT_BYTES;
        if (room < needed) room = needed;
        nectar__chunk *chunk = nectar_alloc(sizeof(nectar__chunk) + room);
        *chunk = (nectar__chunk){nectar__arena, 0, room, 0};
        nectar__arena = chunk;
    }
    char *found = (char *)(nectar__arena + 1) + nectar__arena->used;
    nectar__arena->used += needed;
    return found;
}

void nectar_reset(void) {
    nectar__chunk *kept = NULL;
    while (nectar__arena != NULL) {
        nectar__chunk *chunk = nectar__arena;
        nectar__arena = chunk->next;
        if (kept == NULL && chunk->room <= NECTAR__KEPT_BYTES) kept = chunk;
        else nectar_free(chunk);
    }
    if (kept != NULL) {
        kept->next = NULL;
        kept->used = 0;
    }
    nectar__arena = kept;
    nectar__reason = (nectar_text){NULL, 0};
}

/* What the kernel writes as a result of ours lives as long as the message; whatever else asks for memory keeps it. */
static bool nectar__in_call;

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_bytes, size_t alignment,
                                                                size_t bytes) {
    if (bytes == 0) return (void *)alignment;
    void *found = nectar__in_call ? nectar_arena(bytes) : nectar_alloc(bytes);
    if (old_bytes > 0) {
        nectar_copy(found, old, old_bytes < bytes ? old_bytes : bytes);
        if (!nectar__in_call) nectar_free(old);
    }
    return found;
}

#define NECTAR__CALL(call) (nectar__in_call = true, (call), nectar__in_call = false)

/* --- codes --- */

nectar_text nectar_explain(nectar_code code) {
    static const char *const sentences[] = {
        "it is done",
        "the other side cannot be reached",
        "there was no answer in time",
        "the other side refuses",
        "there is no such file or key",
        "this is not the JSON that is expected",
        "this is no address: node@process:package:publisher",
        "the saved state cannot be read",
        "a child of that name is there",
        "the package has no such file",
    };
    bool has_reason = code == NECTAR_REFUSED || code == NECTAR_NOT_FOUND || code == NECTAR_BAD_STATE;
    if (has_reason && nectar__reason.ptr != NULL) return nectar__reason;
    return nectar_string(sentences[code]);
}

/* --- addresses --- */

nectar_code nectar_address_parse(nectar_text text, nectar_address *address) {
    const char separators[] = "@::";
    nectar_text parts[4];
    size_t part = 0, begin = 0;
    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && (part == 3 ? text.ptr[i] != ':' : text.ptr[i] != separators[part])) continue;
        if (i == begin || part == 4 || (part == 3) != (i == text.len)) return NECTAR_BAD_ADDRESS;
        parts[part++] = (nectar_text){text.ptr + begin, i - begin};
        begin = i + 1;
    }
    if (part != 4) return NECTAR_BAD_ADDRESS;
    *address = (nectar_address){parts[0], {parts[1], parts[2], parts[3]}};
    return NECTAR_OK;
}

nectar_address nectar_local(const char *process) {
    nectar_address address;
    nectar_text text = nectar_format("our@%s", process);
    if (nectar_address_parse(text, &address) != NECTAR_OK) nectar_panic("this is no process of ours");
    return address;
}

nectar_address nectar_on(nectar_text node, nectar_process_id process) { return (nectar_address){node, process}; }

nectar_text nectar_address_text(nectar_address address) {
    return nectar_format("%.*s@%.*s:%.*s:%.*s", NECTAR_ARG(address.node), NECTAR_ARG(address.process.process),
                         NECTAR_ARG(address.process.package), NECTAR_ARG(address.process.publisher));
}

bool nectar_same_package(nectar_address a, nectar_address b) {
    return nectar_same(a.node, b.node) && nectar_same(a.process.package, b.process.package) &&
           nectar_same(a.process.publisher, b.process.publisher);
}

bool nectar_address_same(nectar_address a, nectar_address b) {
    return nectar_same_package(a, b) && nectar_same(a.process.process, b.process.process);
}

nectar_address nectar_address_keep(nectar_address address) {
    nectar_address copy;
    nectar_address_parse(nectar_keep(nectar_address_text(address)), &copy);
    return copy;
}

static nectar_address nectar__our;

nectar_address nectar_our(void) { return nectar__our; }

void init(const char *ptr, size_t len);

__attribute__((export_name("init"))) void init(const char *ptr, size_t len) {
    nectar_text our = nectar_keep((nectar_text){ptr, len});
    if (nectar_address_parse(our, &nectar__our) != NECTAR_OK) nectar_panic("the kernel gave us no valid address");
    nectar_main(nectar__our);
}

/* --- messages --- */

static nectar__text_option nectar__some(nectar_text text) { return (nectar__text_option){text.ptr != NULL, text}; }

static nectar_text nectar__text_of(nectar__text_option option) {
    if (!option.some) return (nectar_text){NULL, 0};
    return option.value.ptr == NULL ? (nectar_text){"", 0} : option.value;
}

static nectar__blob_option nectar__some_blob(const nectar_blob *blob) {
    if (blob == NULL) return (nectar__blob_option){0};
    return (nectar__blob_option){1, {nectar__some(blob->mime), blob->bytes}};
}

static bool nectar__blob_of(const nectar__blob_option *option, nectar_blob *blob) {
    if (option->some) *blob = (nectar_blob){nectar__text_of(option->value.mime), option->value.bytes};
    return option->some;
}

static nectar__request nectar__request_of(const nectar_request *request) {
    return (nectar__request){
        request->inherit,
        {request->expects_response || request->seconds > 0, request->seconds},
        request->body,
        nectar__some(request->metadata),
        request->capabilities,
    };
}

static nectar__send nectar__send_of(const nectar_request *request) {
    return (nectar__send){
        request->target,
        nectar__request_of(request),
        nectar__some(request->context),
        nectar__some_blob(request->blob),
    };
}

static void nectar__fill(nectar_event *event, const nectar__message *message) {
    if (message->tag == 0) {
        const nectar__request *request = &message->of.request;
        event->inherit = request->inherit;
        event->expects_response = request->seconds.some;
        event->seconds = request->seconds.some ? request->seconds.value : 0;
        event->body = request->body;
        event->metadata = nectar__text_of(request->metadata);
        event->capabilities = request->capabilities;
    } else {
        const nectar__response *response = &message->of.response;
        event->inherit = response->inherit;
        event->body = response->body;
        event->metadata = nectar__text_of(response->metadata);
        event->capabilities = response->capabilities;
        event->context = nectar__text_of(response->context);
    }
}

static void nectar__arrived(nectar_event *event, const nectar__arrival *arrival) {
    *event = (nectar_event){.kind = arrival->message.tag == 0 ? NECTAR_REQUEST : NECTAR_RESPONSE};
    event->source = arrival->source;
    nectar__fill(event, &arrival->message);
}

static void nectar__failed(nectar_event *event, const nectar__send_error *error, nectar_text context) {
    *event = (nectar_event){.kind = NECTAR_SEND_ERROR};
    nectar__fill(event, &error->message);
    event->of_request = error->message.tag == 0;
    event->context = context;
    event->error = error->kind == 0 ? NECTAR_OFFLINE : NECTAR_TIMEOUT;
    event->has_blob = nectar__blob_of(&error->blob, &event->blob);
}

void nectar_receive(nectar_event *event) {
    nectar_reset();
    nectar__received result;
    NECTAR__CALL(nectar__receive(&result));
    if (result.tag == 0) nectar__arrived(event, &result.of.ok);
    else nectar__failed(event, &result.of.err.error, nectar__text_of(result.of.err.context));
}

bool nectar_wants_answer(const nectar_event *event) {
    return event->kind == NECTAR_REQUEST && (event->expects_response || event->inherit);
}

void nectar_send(const nectar_request *request) {
    nectar__send params = nectar__send_of(request);
    nectar__send_request(&params);
}

void nectar_send_all(const nectar_request *requests, size_t count) {
    nectar__send *params = nectar_arena(count * sizeof *params);
    for (size_t i = 0; i < count; i++) params[i] = nectar__send_of(&requests[i]);
    nectar__send_requests(params, count);
}

nectar_code nectar_await(const nectar_request *request, nectar_event *response) {
    nectar__send_and_await params = {request->target, nectar__request_of(request), nectar__some_blob(request->blob)};
    nectar__awaited result;
    nectar_event unwanted;
    if (response == NULL) response = &unwanted;
    NECTAR__CALL(nectar__send_and_await_response(&params, &result));
    if (result.tag == 0) {
        nectar__arrived(response, &result.of.ok);
        return NECTAR_OK;
    }
    nectar__failed(response, &result.of.err, (nectar_text){NULL, 0});
    return response->error;
}

void nectar_respond(const nectar_reply *reply) {
    const nectar_blob none = {{NULL, 0}, {NULL, 0}};
    const nectar_blob *blob = reply->blob == NULL ? &none : reply->blob;
    nectar__send_response(reply->inherit, reply->body.ptr, reply->body.len, reply->metadata.ptr != NULL,
                          reply->metadata.ptr, reply->metadata.len, reply->capabilities.ptr, reply->capabilities.len,
                          reply->blob != NULL, blob->mime.ptr != NULL, blob->mime.ptr, blob->mime.len, blob->bytes.ptr,
                          blob->bytes.len);
}

bool nectar_get_blob(nectar_blob *blob) {
    nectar__blob_option result;
    NECTAR__CALL(nectar__get_blob(&result));
    return nectar__blob_of(&result, blob);
}

/* --- what the kernel keeps for a process --- */

bool nectar_get_state(nectar_text *state) {
    nectar__text_option result;
    NECTAR__CALL(nectar__get_state(&result));
    if (result.some) *state = nectar__text_of(result);
    return result.some;
}

void nectar_set_state(nectar_text state) { nectar__set_state(state.ptr, state.len); }

void nectar_clear_state(void) { nectar__clear_state(); }

static nectar__on_exit nectar__on_exit_of(const nectar_on_exit *on_exit) {
    size_t count = on_exit->kind == NECTAR_EXIT_REQUESTS ? on_exit->count : 0;
    nectar__on_exit_request *list = nectar_arena(count * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        const nectar_request *from = &on_exit->requests[i];
        nectar_request request = {.body = from->body, .inherit = from->inherit};
        list[i] = (nectar__on_exit_request){from->target, nectar__request_of(&request), nectar__some_blob(from->blob)};
    }
    return (nectar__on_exit){(uint8_t)on_exit->kind, list, count};
}

void nectar_set_on_exit(const nectar_on_exit *on_exit) {
    nectar__on_exit value = nectar__on_exit_of(on_exit);
    nectar__set_on_exit(value.tag, value.ptr, value.len);
}

void nectar_get_on_exit(nectar_on_exit *on_exit) {
    nectar__on_exit result;
    NECTAR__CALL(nectar__get_on_exit(&result));
    size_t count = result.tag == NECTAR_EXIT_REQUESTS ? result.len : 0;
    nectar_request *requests = nectar_arena(count * sizeof *requests);
    for (size_t i = 0; i < count; i++) {
        const nectar__on_exit_request *from = &result.ptr[i];
        nectar_blob *blob = from->blob.some ? nectar_arena(sizeof *blob) : NULL;
        if (blob != NULL) nectar__blob_of(&from->blob, blob);
        requests[i] = (nectar_request){
            .target = from->target, .body = from->request.body, .inherit = from->request.inherit, .blob = blob};
    }
    *on_exit = (nectar_on_exit){(nectar_on_exit_kind)result.tag, requests, count};
}

nectar_code nectar_spawn(const nectar_child *child, nectar_process_id *started) {
    nectar__on_exit on_exit = nectar__on_exit_of(&child->on_exit);
    nectar__spawned result;
    NECTAR__CALL(nectar__spawn(child->name.ptr != NULL, child->name.ptr, child->name.len, child->wasm_path,
                               nectar__length(child->wasm_path), on_exit.tag, on_exit.ptr, on_exit.len,
                               child->request_capabilities.ptr, child->request_capabilities.len,
                               child->grant_capabilities, child->grant_count, child->is_public, &result));
    if (result.tag != 0) return result.of.err == 0 ? NECTAR_NAME_TAKEN : NECTAR_NO_FILE;
    *started = result.of.ok;
    return NECTAR_OK;
}

nectar_capabilities nectar_our_capabilities(void) {
    nectar_capabilities result;
    NECTAR__CALL(nectar__our_capabilities(&result));
    return result;
}

void nectar_save_capabilities(nectar_capabilities list) { nectar__save_capabilities(list.ptr, list.len); }

void nectar_drop_capabilities(nectar_capabilities list) { nectar__drop_capabilities(list.ptr, list.len); }

/* --- text --- */

static void nectar__append(nectar_writer *out, const char *ptr, size_t len) {
    if (out->room - out->len < len) {
        size_t room = 2 * out->room + len + 64;
        char *larger = nectar_arena(room);
        nectar_copy(larger, out->ptr, out->len);
        out->ptr = larger;
        out->room = room;
    }
    nectar_copy(out->ptr + out->len, ptr, len);
    out->len += len;
}

static void nectar__append_string(nectar_writer *out, const char *string) {
    nectar__append(out, string, nectar__length(string));
}

static void nectar__append_u64(nectar_writer *out, uint64_t value, unsigned base) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);
    nectar__append(out, digits + at, sizeof digits - at);
}

static void nectar__append_i64(nectar_writer *out, int64_t value) {
    if (value < 0) nectar__append(out, "-", 1);
    nectar__append_u64(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
}

static void nectar__append_double(nectar_writer *out, double value);

static void nectar__append_format(nectar_writer *out, const char *format, va_list values) {
    for (; *format != 0; format++) {
        if (*format != '%') {
            nectar__append(out, format, 1);
            continue;
        }
        bool precise = format[1] == '.' && format[2] == '*';
        int precision = precise ? va_arg(values, int) : 0;
        format += precise ? 3 : 1;
        bool wide = format[0] == 'l' && format[1] == 'l';
        if (wide) format += 2;
        else if (*format == 'l' || *format == 'z') format++; /* of 32 bits, both */
        switch (*format) {
        case 's': {
            const char *string = va_arg(values, const char *);
            nectar__append(out, string, precise ? (size_t)precision : nectar__length(string));
            break;
        }
        case 'd':
        case 'i': nectar__append_i64(out, wide ? va_arg(values, int64_t) : va_arg(values, int32_t)); break;
        case 'u': nectar__append_u64(out, wide ? va_arg(values, uint64_t) : va_arg(values, uint32_t), 10); break;
        case 'x': nectar__append_u64(out, wide ? va_arg(values, uint64_t) : va_arg(values, uint32_t), 16); break;
        case 'c': nectar__append(out, (char[]){(char)va_arg(values, int)}, 1); break;
        case 'g': nectar__append_double(out, va_arg(values, double)); break;
        case '%': nectar__append(out, "%", 1); break;
        default: nectar_panic("a format has something that nectar_format does not know");
        }
    }
}

nectar_text nectar_format(const char *format, ...) {
    nectar_writer out = {0};
    va_list values;
    va_start(values, format);
    nectar__append_format(&out, format, values);
    va_end(values);
    return (nectar_text){out.ptr == NULL ? "" : out.ptr, out.len};
}

static nectar_level nectar__level = NECTAR_INFO;

void nectar_log_level(nectar_level level) { nectar__level = level; }

void nectar_print(unsigned verbosity, nectar_text line) { nectar__print(verbosity, line.ptr, line.len); }

void nectar_log(nectar_level level, const char *format, ...) {
    if (level > nectar__level) return;
    nectar_writer out = {0};
    va_list values;
    va_start(values, format);
    nectar__append_format(&out, format, values);
    va_end(values);
    nectar__print(level <= NECTAR_WARNING ? 0 : level == NECTAR_INFO ? 1 : 2, out.ptr, out.len);
}

/* --- JSON: reading --- */

typedef struct {
    const char *at, *end;
} nectar__scan;

static int nectar__peek(const nectar__scan *scan) { return scan->at < scan->end ? (unsigned char)*scan->at : -1; }

static void nectar__blanks(nectar__scan *scan) {
    for (int byte; (byte = nectar__peek(scan)) == ' ' || byte == '\n' || byte == '\r' || byte == '\t';) scan->at++;
}

static bool nectar__take(nectar__scan *scan, char wanted) {
    if (nectar__peek(scan) != (unsigned char)wanted) return false;
    scan->at++;
    return true;
}

static int nectar__hex(int byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The four digits behind \u; -1: there are none. */
static int32_t nectar__escaped(nectar__scan *scan) {
    int32_t unit = 0;
    for (int i = 0; i < 4; i++, scan->at++) {
        int digit = nectar__hex(nectar__peek(scan));
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* The code point behind \u, of one unit or a pair; -1: it is none. */
static int32_t nectar__code_point(nectar__scan *scan) {
    int32_t high = nectar__escaped(scan);
    if (high < 0xD800 || high > 0xDFFF) return high;
    if (high > 0xDBFF || !nectar__take(scan, '\\') || !nectar__take(scan, 'u')) return -1;
    int32_t low = nectar__escaped(scan);
    if (low < 0xDC00 || low > 0xDFFF) return -1;
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

/* Bytes of the character in UTF-8 that begins here, by Unicode's table 3-7; 0: it is none. */
static size_t nectar__utf8(const char *text, size_t left) {
    const unsigned char *at = (const unsigned char *)text;
    if (at[0] < 0x80) return 1;
    size_t length = at[0] >= 0xF0 ? 4 : at[0] >= 0xE0 ? 3 : 2;
    if (at[0] < 0xC2 || at[0] > 0xF4 || left < length) return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    bool too_long = (at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xF0 && at[1] < 0x90);
    bool too_high = (at[0] == 0xED && at[1] > 0x9F) || (at[0] == 0xF4 && at[1] > 0x8F);
    return too_long || too_high ? 0 : length;
}

static bool nectar__skip_text(nectar__scan *scan) {
    if (!nectar__take(scan, '"')) return false;
    while (scan->at < scan->end) {
        unsigned char byte = (unsigned char)*scan->at;
        if (byte == '"') return scan->at++, true;
        if (byte < 0x20) return false;
        if (byte != '\\') {
            size_t length = nectar__utf8(scan->at, (size_t)(scan->end - scan->at));
            if (length == 0) return false;
            scan->at += length;
            continue;
        }
        scan->at++;
        if (nectar__take(scan, 'u')) {
            if (nectar__code_point(scan) < 0) return false;
            continue;
        }
        int escape = nectar__peek(scan);
        if (escape < 0 || !nectar_contains((nectar_text){"\"\\/bfnrt", 8}, (char[]){(char)escape, 0})) return false;
        scan->at++;
    }
    return false;
}

static bool nectar__skip_digits(nectar__scan *scan) {
    const char *begin = scan->at;
    while (nectar__peek(scan) >= '0' && nectar__peek(scan) <= '9') scan->at++;
    return scan->at > begin;
}

static bool nectar__skip_number(nectar__scan *scan) {
    nectar__take(scan, '-');
    if (!nectar__take(scan, '0') && !nectar__skip_digits(scan)) return false;
    if (nectar__take(scan, '.') && !nectar__skip_digits(scan)) return false;
    if (!nectar__take(scan, 'e') && !nectar__take(scan, 'E')) return true;
    if (!nectar__take(scan, '-')) nectar__take(scan, '+');
    return nectar__skip_digits(scan);
}

static bool nectar__skip_word(nectar__scan *scan, const char *word) {
    size_t length = nectar__length(word);
    if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length) != 0) return false;
    scan->at += length;
    return true;
}

static bool nectar__skip(nectar__scan *scan, unsigned depth) {
    int first = nectar__peek(scan);
    switch (first) {
    case '"': return nectar__skip_text(scan);
    case 'n': return nectar__skip_word(scan, "null");
    case 't': return nectar__skip_word(scan, "true");
    case 'f': return nectar__skip_word(scan, "false");
    case '[':
    case '{': break;
    default: return nectar__skip_number(scan);
    }
    char last = first == '[' ? ']' : '}';
    if (depth == NECTAR_JSON_DEPTH) return false;
    scan->at++;
    nectar__blanks(scan);
    if (nectar__take(scan, last)) return true;
    for (;;) {
        nectar__blanks(scan);
        if (first == '{') {
            if (!nectar__skip_text(scan)) return false;
            nectar__blanks(scan);
            if (!nectar__take(scan, ':')) return false;
            nectar__blanks(scan);
        }
        if (!nectar__skip(scan, depth + 1)) return false;
        nectar__blanks(scan);
        if (nectar__take(scan, last)) return true;
        if (!nectar__take(scan, ',')) return false;
    }
}

nectar_code nectar_json_parse(nectar_text text, nectar_json *value) {
    nectar__scan scan = {text.ptr, text.ptr + text.len};
    nectar__blanks(&scan);
    const char *begin = scan.at;
    if (!nectar__skip(&scan, 0)) return NECTAR_BAD_JSON;
    nectar_json found = {begin, (size_t)(scan.at - begin)};
    nectar__blanks(&scan);
    if (scan.at != scan.end) return NECTAR_BAD_JSON;
    *value = found;
    return NECTAR_OK;
}

nectar_json_kind nectar_json_kind_of(nectar_json value) {
    if (value.ptr == NULL || value.len == 0) return NECTAR_JSON_NONE;
    switch (value.ptr[0]) {
    case 'n': return NECTAR_JSON_NULL;
    case 't':
    case 'f': return NECTAR_JSON_BOOL;
    case '"': return NECTAR_JSON_TEXT;
    case '[': return NECTAR_JSON_ARRAY;
    case '{': return NECTAR_JSON_OBJECT;
    default: return NECTAR_JSON_NUMBER;
    }
}

nectar_items nectar_json_items(nectar_json value) {
    nectar_json_kind kind = nectar_json_kind_of(value);
    nectar_items items = {.object = kind == NECTAR_JSON_OBJECT};
    if (kind == NECTAR_JSON_ARRAY || kind == NECTAR_JSON_OBJECT) {
        items.at = value.ptr + 1;
        items.end = value.ptr + value.len - 1;
    }
    return items;
}

/* It is checked that all of this is JSON. */
bool nectar_json_next(nectar_items *items) {
    nectar__scan scan = {items->at, items->end};
    nectar__blanks(&scan);
    if (nectar__take(&scan, ',')) nectar__blanks(&scan);
    if (scan.at >= scan.end) return false;
    if (items->object) {
        const char *key = scan.at;
        nectar__skip_text(&scan);
        nectar_json_text((nectar_json){key, (size_t)(scan.at - key)}, &items->key);
        nectar__blanks(&scan);
        nectar__take(&scan, ':');
        nectar__blanks(&scan);
    }
    const char *begin = scan.at;
    nectar__skip(&scan, 0);
    items->value = (nectar_json){begin, (size_t)(scan.at - begin)};
    items->at = scan.at;
    return true;
}

nectar_json nectar_json_field(nectar_json object, const char *key) {
    nectar_json found = {NULL, 0};
    if (nectar_json_kind_of(object) != NECTAR_JSON_OBJECT) return found;
    for (nectar_items items = nectar_json_items(object); nectar_json_next(&items);)
        if (nectar_is(items.key, key)) found = items.value;
    return found;
}

bool nectar_json_bool(nectar_json value, bool *out) {
    if (nectar_json_kind_of(value) != NECTAR_JSON_BOOL) return false;
    *out = value.ptr[0] == 't';
    return true;
}

bool nectar_json_u64(nectar_json value, uint64_t *out) {
    uint64_t number = 0;
    if (nectar_json_kind_of(value) != NECTAR_JSON_NUMBER) return false;
    for (size_t i = 0; i < value.len; i++) {
        char digit = value.ptr[i];
        if (digit < '0' || digit > '9') return false;
        if (__builtin_mul_overflow(number, (uint64_t)10, &number)) return false;
        if (__builtin_add_overflow(number, (uint64_t)(digit - '0'), &number)) return false;
    }
    *out = number;
    return true;
}

bool nectar_json_i64(nectar_json value, int64_t *out) {
    uint64_t number;
    bool negative = nectar_json_kind_of(value) == NECTAR_JSON_NUMBER && value.ptr[0] == '-';
    if (negative) value = (nectar_json){value.ptr + 1, value.len - 1};
    if (!nectar_json_u64(value, &number) || number > (uint64_t)INT64_MAX + negative) return false;
    *out = negative ? (int64_t)(0 - number) : (int64_t)number;
    return true;
}

static size_t nectar__put_utf8(char *to, int32_t point) {
    if (point < 0x80) return to[0] = (char)point, 1;
    size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, point >>= 6) to[i] = (char)(0x80 | (point & 0x3F));
    to[0] = (char)((0xF00 >> length) | point);
    return length;
}

bool nectar_json_text(nectar_json value, nectar_text *out) {
    if (nectar_json_kind_of(value) != NECTAR_JSON_TEXT) return false;
    nectar__scan scan = {value.ptr + 1, value.ptr + value.len - 1};
    *out = (nectar_text){scan.at, (size_t)(scan.end - scan.at)};
    if (!nectar_contains(*out, "\\")) return true;
    char *text = nectar_arena(value.len); /* no escape is shorter than what it stands for */
    size_t len = 0;
    while (scan.at < scan.end) {
        char byte = *scan.at++;
        if (byte != '\\') {
            text[len++] = byte;
            continue;
        }
        byte = *scan.at++;
        switch (byte) {
        case 'u': len += nectar__put_utf8(text + len, nectar__code_point(&scan)); break;
        case 'b': text[len++] = '\b'; break;
        case 'f': text[len++] = '\f'; break;
        case 'n': text[len++] = '\n'; break;
        case 'r': text[len++] = '\r'; break;
        case 't': text[len++] = '\t'; break;
        default: text[len++] = byte;
        }
    }
    *out = (nectar_text){text, len};
    return true;
}

bool nectar_json_variant(nectar_json value, nectar_text *name, nectar_json *payload) {
    *payload = (nectar_json){NULL, 0};
    if (nectar_json_kind_of(value) == NECTAR_JSON_TEXT) return nectar_json_text(value, name);
    nectar_items items = nectar_json_items(value);
    if (!items.object || !nectar_json_next(&items)) return false;
    nectar_items first = items;
    if (nectar_json_next(&items)) return false;
    *name = first.key;
    *payload = first.value;
    return true;
}

/* --- floats: exact both ways, by whole numbers of any size --- */

enum {
    NECTAR__DIGITS = 800, /* one more decides nothing: no midpoint of two doubles has as many */
    NECTAR__WORDS = 200,  /* of 32 bits: 10^1130 and 2^1130 fit */
};

typedef struct {
    uint32_t words[NECTAR__WORDS]; /* the least significant first */
    unsigned count;
} nectar__whole;

static void nectar__multiply(nectar__whole *whole, uint32_t factor, uint32_t more) {
    uint64_t carry = more;
    for (unsigned i = 0; i < whole->count; i++) {
        carry += (uint64_t)whole->words[i] * factor;
        whole->words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry == 0) return;
    if (whole->count == NECTAR__WORDS) nectar_panic("a float has too many digits");
    whole->words[whole->count++] = (uint32_t)carry;
}

static void nectar__multiply_power(nectar__whole *whole, uint32_t base, unsigned exponent) {
    for (; exponent > 0; exponent--) nectar__multiply(whole, base, 0);
}

static void nectar__set_whole(nectar__whole *whole, uint64_t value) {
    whole->words[0] = (uint32_t)value;
    whole->words[1] = (uint32_t)(value >> 32);
    whole->count = value == 0 ? 0 : value >> 32 == 0 ? 1 : 2;
}

static int nectar__compare(const nectar__whole *a, const nectar__whole *b) {
    if (a->count != b->count) return a->count < b->count ? -1 : 1;
    for (unsigned i = a->count; i-- > 0;)
        if (a->words[i] != b->words[i]) return a->words[i] < b->words[i] ? -1 : 1;
    return 0;
}

typedef union {
    double value;
    uint64_t bits;
} nectar__bits;

/* A positive double, not infinite, as fraction × 2^exponent. */
static uint64_t nectar__fraction(uint64_t bits, int *exponent) {
    uint64_t fraction = bits & ((1ULL << 52) - 1);
    int biased = (int)(bits >> 52);
    *exponent = (biased == 0 ? 1 : biased) - 1075;
    return biased == 0 ? fraction : fraction | 1ULL << 52;
}

/* Digits × 10^exponent against the midpoint of a double and the next one. */
static int nectar__against_midpoint(const nectar__whole *digits, int exponent, uint64_t bits) {
    static nectar__whole left, right;
    int binary;
    left = *digits;
    nectar__set_whole(&right, 2 * nectar__fraction(bits, &binary) + 1);
    binary -= 1;
    /* Both sides times what makes them whole: 10^e is 5^e × 2^e. */
    nectar__multiply_power(exponent >= 0 ? &left : &right, 5, (unsigned)(exponent >= 0 ? exponent : -exponent));
    int shift = exponent - binary;
    nectar__multiply_power(shift >= 0 ? &left : &right, 2, (unsigned)(shift >= 0 ? shift : -shift));
    return nectar__compare(&left, &right);
}

bool nectar_json_double(nectar_json value, double *out) {
    static nectar__whole digits;
    if (nectar_json_kind_of(value) != NECTAR_JSON_NUMBER) return false;
    nectar__scan scan = {value.ptr, value.ptr + value.len};
    bool negative = nectar__take(&scan, '-'), behind_point = false, more = false;
    int64_t exponent = 0, written = 0;
    unsigned kept = 0;
    uint64_t small = 0;
    digits.count = 0;
    for (; scan.at < scan.end && (*scan.at | 0x20) != 'e'; scan.at++) {
        if (*scan.at == '.') {
            behind_point = true;
            continue;
        }
        uint32_t digit = (uint32_t)(*scan.at - '0');
        if (behind_point) exponent--;
        if (kept == 0 && digit == 0) continue;
        if (kept == NECTAR__DIGITS) {
            more |= digit != 0;
            exponent++;
            continue;
        }
        kept++;
        if (kept <= 15) small = small * 10 + digit;
        if (digits.count == 0) nectar__set_whole(&digits, digit);
        else nectar__multiply(&digits, 10, digit);
    }
    if (more) { /* something above what is kept, however little */
        nectar__multiply(&digits, 10, 1);
        exponent--;
        kept++;
    }
    if (scan.at++ < scan.end) {
        bool minus = nectar__take(&scan, '-');
        if (!minus) nectar__take(&scan, '+');
        for (; scan.at < scan.end; scan.at++)
            if (written < 1000000000) written = written * 10 + (*scan.at - '0');
        exponent += minus ? -written : written;
    }
    nectar__bits found = {0};
    int64_t magnitude = exponent + kept; /* the number is below 10^magnitude */
    if (kept > 0 && magnitude > 310) return false;
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (kept <= 15 && exponent >= -22 && exponent <= 22) { /* both are exact, so one operation rounds right */
        double whole = (double)small;
        found.value = exponent < 0 ? whole / powers[-exponent] : whole * powers[exponent];
    } else if (kept > 0 && magnitude > -330) { /* the least double whose midpoint to the next is not below the number */
        const uint64_t infinite = 0x7FFULL << 52;
        uint64_t low = 0, high = infinite;
        while (low < high) {
            uint64_t middle = low + (high - low) / 2;
            int order = nectar__against_midpoint(&digits, (int)exponent, middle);
            if (order < 0 || (order == 0 && middle % 2 == 0)) high = middle;
            else low = middle + 1;
        }
        if (low == infinite) return false;
        found.bits = low;
    }
    *out = negative ? -found.value : found.value;
    return true;
}

/* Round a number of `have` decimal digits to `want`; whether it became one digit longer. */
static bool nectar__round(const char *digits, unsigned have, char *rounded, unsigned want) {
    bool up = want < have && digits[want] >= '5';
    for (unsigned i = want; i-- > 0;) {
        rounded[i] = i < have ? digits[i] : '0';
        if (up) up = ++rounded[i] > '9';
        if (rounded[i] > '9') rounded[i] = '0';
    }
    if (up) rounded[0] = '1';
    return up;
}

static void nectar__append_double(nectar_writer *out, double value) {
    static nectar__whole whole;
    static char digits[NECTAR__WORDS * 10];
    nectar__bits bits = {value};
    if (bits.bits >> 63) nectar__append(out, "-", 1);
    bits.bits &= ~0ULL >> 1;
    if (bits.bits >> 52 == 0x7FF) {
        nectar__append_string(out, bits.bits << 12 == 0 ? "inf" : "nan");
        return;
    }
    if (bits.bits == 0) {
        nectar__append(out, "0.0", 3);
        return;
    }
    int binary;
    nectar__set_whole(&whole, nectar__fraction(bits.bits, &binary));
    nectar__multiply_power(&whole, binary >= 0 ? 2 : 5, (unsigned)(binary >= 0 ? binary : -binary));
    int point = binary < 0 ? binary : 0; /* the value is the whole number × 10^point */
    unsigned have = 0;
    while (whole.count > 0) { /* the least significant digit first */
        uint64_t rest = 0;
        for (unsigned i = whole.count; i-- > 0;) {
            rest = rest << 32 | whole.words[i];
            whole.words[i] = (uint32_t)(rest / 10);
            rest %= 10;
        }
        while (whole.count > 0 && whole.words[whole.count - 1] == 0) whole.count--;
        digits[have++] = (char)('0' + rest);
    }
    for (unsigned i = 0; i < have / 2; i++) {
        char other = digits[i];
        digits[i] = digits[have - 1 - i];
        digits[have - 1 - i] = other;
    }
    point += (int)have; /* the value is 0.DIGITS × 10^point */
    char shortest[17], text[32];
    unsigned used = 1;
    int place = point;
    for (;; used++) {
        place = point + nectar__round(digits, have, shortest, used);
        nectar_writer trial = {.ptr = text, .room = sizeof text};
        double back = 0;
        nectar__append(&trial, shortest, used);
        nectar__append(&trial, "e", 1);
        nectar__append_i64(&trial, place - (int)used);
        bool read = nectar_json_double((nectar_json){text, trial.len}, &back);
        if (used == 17 || (read && back == bits.value)) break;
    }
    bool plain = place > -6 && place <= 17;
    if (!plain) {
        nectar__append(out, shortest, 1);
        if (used > 1) nectar__append(out, ".", 1);
        nectar__append(out, shortest + 1, used - 1);
        nectar__append(out, "e", 1);
        nectar__append_i64(out, place - 1);
        return;
    }
    if (place <= 0) nectar__append(out, "0.", 2);
    for (int i = place; i < 0; i++) nectar__append(out, "0", 1);
    for (int i = 0; i < (int)used || i < place; i++) {
        if (i > 0 && i == place) nectar__append(out, ".", 1);
        nectar__append(out, i < (int)used ? &shortest[i] : "0", 1);
    }
    if ((int)used <= place) nectar__append(out, ".0", 2);
}

/* --- JSON: writing --- */

static void nectar__put_quoted(nectar_writer *out, nectar_text text) {
    nectar__append(out, "\"", 1);
    for (size_t i = 0; i < text.len;) {
        unsigned char byte = (unsigned char)text.ptr[i];
        size_t length = nectar__utf8(text.ptr + i, text.len - i);
        if (length == 0) {
            nectar__append(out, "?", 1);
            i++;
            continue;
        }
        if (byte == '"' || byte == '\\') nectar__append(out, "\\", 1);
        if (byte == '\n') nectar__append(out, "\\n", 2);
        else if (byte < 0x20)
            nectar__append(out, (char[]){'\\', 'u', '0', '0', (char)('0' + byte / 16), "0123456789abcdef"[byte % 16]}, 6);
        else nectar__append(out, text.ptr + i, length);
        i += length;
    }
    nectar__append(out, "\"", 1);
}

/* What comes before a value: a comma, and in an object its key. */
static void nectar__put_key(nectar_writer *out, const char *key) {
    bool in_object = out->depth > 0 && !(out->arrays >> (out->depth - 1) & 1);
    if (in_object != (key != NULL)) nectar_panic("in an object a value has a key, elsewhere it has none");
    char before = out->len == 0 ? '[' : out->ptr[out->len - 1];
    if (before != '[' && before != '{') nectar__append(out, ",", 1);
    if (key == NULL) return;
    nectar__put_quoted(out, nectar_string(key));
    nectar__append(out, ":", 1);
}

static void nectar__put_open(nectar_writer *out, const char *key, bool array) {
    nectar__put_key(out, key);
    if (out->depth == NECTAR_JSON_DEPTH) nectar_panic("JSON is nested too deep");
    out->arrays = (out->arrays & ~(1ULL << out->depth)) | (uint64_t)array << out->depth;
    out->depth++;
    nectar__append(out, array ? "[" : "{", 1);
}

void nectar_put_object(nectar_writer *writer, const char *key) { nectar__put_open(writer, key, false); }

void nectar_put_array(nectar_writer *writer, const char *key) { nectar__put_open(writer, key, true); }

void nectar_put_end(nectar_writer *writer) {
    if (writer->depth == 0) nectar_panic("nothing is open that could end");
    writer->depth--;
    nectar__append(writer, writer->arrays >> writer->depth & 1 ? "]" : "}", 1);
}

void nectar_put_json(nectar_writer *writer, const char *key, nectar_json value) {
    nectar__put_key(writer, key);
    nectar__append(writer, value.ptr, value.len);
}

void nectar_put_null(nectar_writer *writer, const char *key) { nectar_put_json(writer, key, nectar_string("null")); }

void nectar_put_bool(nectar_writer *writer, const char *key, bool value) {
    nectar_put_json(writer, key, nectar_string(value ? "true" : "false"));
}

void nectar_put_u64(nectar_writer *writer, const char *key, uint64_t value) {
    nectar__put_key(writer, key);
    nectar__append_u64(writer, value, 10);
}

void nectar_put_i64(nectar_writer *writer, const char *key, int64_t value) {
    nectar__put_key(writer, key);
    nectar__append_i64(writer, value);
}

void nectar_put_double(nectar_writer *writer, const char *key, double value) {
    if (!(value - value == 0)) nectar_panic("a number that is not finite has no JSON");
    nectar__put_key(writer, key);
    nectar__append_double(writer, value);
}

void nectar_put_text(nectar_writer *writer, const char *key, nectar_text value) {
    nectar__put_key(writer, key);
    nectar__put_quoted(writer, value);
}

void nectar_put_string(nectar_writer *writer, const char *key, const char *value) {
    nectar_put_text(writer, key, nectar_string(value));
}

nectar_text nectar_written(nectar_writer *writer) {
    while (writer->depth > 0) nectar_put_end(writer);
    return (nectar_text){writer->ptr, writer->len};
}

/* --- structs as JSON, and state with a version --- */

static bool nectar__read_field(nectar_json found, const nectar_field *field, void *at) {
    switch (field->kind) {
    case NECTAR_U64: return nectar_json_u64(found, at);
    case NECTAR_I64: return nectar_json_i64(found, at);
    case NECTAR_DOUBLE: return nectar_json_double(found, at);
    case NECTAR_BOOL: return nectar_json_bool(found, at);
    case NECTAR_STR: return nectar_json_text(found, at);
    case NECTAR_RAW: *(nectar_json *)at = found; return true;
    }
    return false;
}

bool nectar_read_struct(nectar_json object, const nectar_field *fields, void *value) {
    if (nectar_json_kind_of(object) != NECTAR_JSON_OBJECT) return false;
    for (; fields->name != NULL; fields++) {
        nectar_json found = nectar_json_field(object, fields->name);
        if (found.ptr != NULL && !nectar__read_field(found, fields, (char *)value + fields->offset)) return false;
    }
    return true;
}

void nectar_put_struct(nectar_writer *writer, const nectar_field *fields, const void *value) {
    for (; fields->name != NULL; fields++) {
        const void *at = (const char *)value + fields->offset;
        switch (fields->kind) {
        case NECTAR_U64: nectar_put_u64(writer, fields->name, *(const uint64_t *)at); break;
        case NECTAR_I64: nectar_put_i64(writer, fields->name, *(const int64_t *)at); break;
        case NECTAR_DOUBLE: nectar_put_double(writer, fields->name, *(const double *)at); break;
        case NECTAR_BOOL: nectar_put_bool(writer, fields->name, *(const bool *)at); break;
        case NECTAR_STR: nectar_put_text(writer, fields->name, *(const nectar_text *)at); break;
        case NECTAR_RAW: {
            nectar_json raw = *(const nectar_json *)at;
            nectar_put_json(writer, fields->name, raw.ptr == NULL ? nectar_string("null") : raw);
            break;
        }
        }
    }
}

static nectar_code nectar__bad_state(nectar_text reason) {
    nectar__reason = reason;
    return NECTAR_BAD_STATE;
}

nectar_code nectar_load(const nectar_state *state, void *value) {
    nectar_text saved;
    nectar_json object = {NULL, 0};
    uint64_t from = 1;
    if (!nectar_get_state(&saved)) return NECTAR_OK;
    if (nectar_json_parse(saved, &object) == NECTAR_OK) nectar_json_u64(nectar_json_field(object, "version"), &from);
    if (from > state->version)
        return nectar__bad_state(nectar_format("the saved state is of version %llu, and this process knows %llu",
                                               (unsigned long long)from, (unsigned long long)state->version));
    if (from == state->version)
        return nectar_read_struct(object, state->fields, value)
                   ? NECTAR_OK
                   : nectar__bad_state(nectar_string("the saved state is none of this process"));
    if (state->migrate == NULL || !state->migrate(from, saved, value))
        return nectar__bad_state(nectar_format("the saved state of version %llu cannot be migrated", (unsigned long long)from));
    nectar_save(state, value);
    return NECTAR_OK;
}

void nectar_save(const nectar_state *state, const void *value) {
    nectar_writer writer = {0};
    nectar_put_object(&writer, NULL);
    nectar_put_u64(&writer, "version", state->version);
    nectar_put_struct(&writer, state->fields, value);
    nectar_set_state(nectar_written(&writer));
}

/* --- timer, clock, random --- */

static nectar_request nectar__timer_request(uint64_t milliseconds) {
    return (nectar_request){
        .target = nectar_local("timer:distro:sys"),
        .body = nectar_format("{\"SetTimer\":%llu}", (unsigned long long)milliseconds),
        .seconds = milliseconds / 1000 + 10,
    };
}

nectar_code nectar_sleep(uint64_t milliseconds) {
    nectar_request request = nectar__timer_request(milliseconds);
    return nectar_await(&request, NULL);
}

void nectar_timer(uint64_t milliseconds, nectar_text context) {
    nectar_request request = nectar__timer_request(milliseconds);
    request.context = context;
    nectar_send(&request);
}

static uint64_t nectar__clock(int32_t clock) {
    uint64_t time = 0;
    if (nectar__clock_time_get(clock, 1, &time) != 0) nectar_panic("the node gives no time");
    return time;
}

uint64_t nectar_now(void) { return nectar__clock(0); }

uint64_t nectar_monotonic(void) { return nectar__clock(1); }

void nectar_random(void *bytes, size_t count) {
    if (count > 0 && nectar__random_get(bytes, count) != 0) nectar_panic("the node gives no random bytes");
}

uint64_t nectar_random_below(uint64_t below) {
    if (below == 0) nectar_panic("no number is below 0");
    uint64_t number, most = UINT64_MAX - UINT64_MAX % below; /* above it, small results would be likelier */
    do nectar_random(&number, sizeof number);
    while (number >= most);
    return number % below;
}

/* --- files --- */

nectar_code nectar_ask(nectar_address target, nectar_text body, uint64_t seconds, const nectar_blob *blob,
                       nectar_json *answer, nectar_text *got) {
    nectar_event response;
    nectar_json value, reason;
    nectar_text name;
    nectar_request request = {.target = target, .body = body, .seconds = seconds, .blob = blob};
    nectar_code code = nectar_await(&request, &response);
    if (code != NECTAR_OK) return code;
    if (nectar_json_parse(response.body, &value) != NECTAR_OK) return NECTAR_BAD_JSON;
    if (nectar_json_variant(value, &name, &reason) && nectar_is(name, "Err")) {
        nectar__reason = reason.ptr == NULL ? name : reason;
        nectar_json_text(reason, &nectar__reason);
        bool missing = nectar_contains(nectar__reason, "NotFound") || nectar_contains(nectar__reason, "No such file");
        return missing ? NECTAR_NOT_FOUND : NECTAR_REFUSED;
    }
    if (answer != NULL) *answer = value;
    if (got != NULL) {
        nectar_blob back = {{NULL, 0}, {"", 0}};
        nectar_get_blob(&back);
        *got = back.bytes;
    }
    return NECTAR_OK;
}

enum { NECTAR__SECONDS = 60, NECTAR__PAGE_ENTRIES = 1000 };

nectar_text nectar_drive(const char *name) {
    return nectar_format("/%.*s:%.*s/%s", NECTAR_ARG(nectar__our.process.package),
                         NECTAR_ARG(nectar__our.process.publisher), name);
}

nectar_code nectar_vfs(nectar_text path, nectar_json action, const nectar_text *data, nectar_json *answer,
                       nectar_text *got) {
    nectar_writer writer = {0};
    nectar_blob blob = {{NULL, 0}, data == NULL ? (nectar_text){NULL, 0} : *data};
    nectar_put_object(&writer, NULL);
    nectar_put_text(&writer, "path", path);
    nectar_put_json(&writer, "action", action);
    return nectar_ask(nectar_local("vfs:distro:sys"), nectar_written(&writer), NECTAR__SECONDS,
                      data == NULL ? NULL : &blob, answer, got);
}

static nectar_code nectar__vfs_do(nectar_text path, const char *action, const nectar_text *data) {
    return nectar_vfs(path, nectar_format("\"%s\"", action), data, NULL, NULL);
}

static nectar_code nectar__vfs_to(nectar_text path, const char *action, nectar_text new_path) {
    nectar_writer writer = {0};
    nectar_put_object(&writer, NULL);
    nectar_put_object(&writer, action);
    nectar_put_text(&writer, "new_path", new_path);
    return nectar_vfs(path, nectar_written(&writer), NULL, NULL, NULL);
}

static nectar_json nectar__at(const char *action, uint64_t offset, uint64_t length) {
    return nectar_format("{\"%s\":{\"offset\":%llu,\"length\":%llu}}", action, (unsigned long long)offset,
                         (unsigned long long)length);
}

nectar_code nectar_create_drive(nectar_text path) { return nectar__vfs_do(path, "CreateDrive", NULL); }

nectar_code nectar_create_dir(nectar_text path) { return nectar__vfs_do(path, "CreateDirAll", NULL); }

nectar_code nectar_read_file(nectar_text path, nectar_text *data) {
    return nectar_vfs(path, nectar_string("\"Read\""), NULL, NULL, data);
}

nectar_code nectar_read_at(nectar_text path, uint64_t offset, uint64_t length, nectar_text *data) {
    return nectar_vfs(path, nectar__at("ReadAt", offset, length), NULL, NULL, data);
}

nectar_code nectar_write_file(nectar_text path, nectar_text data) { return nectar__vfs_do(path, "Write", &data); }

nectar_code nectar_write_at(nectar_text path, uint64_t offset, nectar_text data) {
    return nectar_vfs(path, nectar__at("WriteAt", offset, data.len), &data, NULL, NULL);
}

nectar_code nectar_append(nectar_text path, nectar_text data) { return nectar__vfs_do(path, "Append", &data); }

nectar_code nectar_create_file(nectar_text path) { return nectar__vfs_do(path, "CreateFile", NULL); }

nectar_code nectar_set_length(nectar_text path, uint64_t length) {
    nectar_json action = nectar_format("{\"SetLen\":%llu}", (unsigned long long)length);
    return nectar_vfs(path, action, NULL, NULL, NULL);
}

nectar_code nectar_sync(nectar_text path) { return nectar__vfs_do(path, "SyncAll", NULL); }

nectar_code nectar_rename(nectar_text path, nectar_text new_path) { return nectar__vfs_to(path, "Rename", new_path); }

nectar_code nectar_copy_file(nectar_text path, nectar_text new_path) {
    return nectar__vfs_to(path, "CopyFile", new_path);
}

nectar_code nectar_remove_file(nectar_text path) { return nectar__vfs_do(path, "RemoveFile", NULL); }

nectar_code nectar_remove_dir(nectar_text path) { return nectar__vfs_do(path, "RemoveDirAll", NULL); }

nectar_code nectar_metadata_of(nectar_text path, nectar_metadata *found) {
    static const nectar_field fields[] = {
        NECTAR_FIELD(nectar_metadata, file_type, NECTAR_STR),
        NECTAR_FIELD(nectar_metadata, len, NECTAR_U64),
        NECTAR_FIELD(nectar_metadata, modified, NECTAR_I64),
        NECTAR_END,
    };
    nectar_json answer;
    nectar_code code = nectar_vfs(path, nectar_string("\"Metadata\""), NULL, &answer, NULL);
    if (code != NECTAR_OK) return code;
    *found = (nectar_metadata){{"", 0}, 0, 0};
    return nectar_read_struct(nectar_json_field(answer, "Metadata"), fields, found) ? NECTAR_OK : NECTAR_BAD_JSON;
}

nectar_code nectar_free_space(nectar_text path, uint64_t *bytes) {
    nectar_json answer;
    nectar_code code = nectar_vfs(path, nectar_string("\"FreeSpace\""), NULL, &answer, NULL);
    if (code != NECTAR_OK) return code;
    return nectar_json_u64(nectar_json_field(answer, "FreeSpace"), bytes) ? NECTAR_OK : NECTAR_BAD_JSON;
}

nectar_code nectar_read_dir(nectar_text path, nectar_text after, const nectar_entry **entries, size_t *count) {
    nectar_json answer;
    nectar_writer writer = {0};
    nectar_put_object(&writer, NULL);
    nectar_put_object(&writer, "ReadDir");
    nectar_put_text(&writer, "after", after);
    nectar_put_u64(&writer, "limit", NECTAR__PAGE_ENTRIES);
    nectar_code code = nectar_vfs(path, nectar_written(&writer), NULL, &answer, NULL);
    if (code != NECTAR_OK) return code;
    nectar_entry *list = nectar_arena(NECTAR__PAGE_ENTRIES * sizeof *list);
    size_t found = 0;
    nectar_items items = nectar_json_items(nectar_json_field(answer, "ReadDir"));
    while (found < NECTAR__PAGE_ENTRIES && nectar_json_next(&items)) {
        nectar_entry *entry = &list[found++];
        *entry = (nectar_entry){0};
        nectar_json_text(nectar_json_field(items.value, "path"), &entry->path);
        nectar_json_text(nectar_json_field(items.value, "file_type"), &entry->file_type);
        size_t begin = entry->path.len;
        while (begin > 0 && entry->path.ptr[begin - 1] != '/') begin--;
        entry->name = (nectar_text){entry->path.ptr + begin, entry->path.len - begin};
    }
    *entries = list;
    *count = found;
    return NECTAR_OK;
}

nectar_code nectar_hash(nectar_text path, uint8_t hash[32]) {
    nectar_json answer;
    nectar_code code = nectar_vfs(path, nectar_string("\"Hash\""), NULL, &answer, NULL);
    if (code != NECTAR_OK) return code;
    nectar_items items = nectar_json_items(nectar_json_field(answer, "Hash"));
    for (size_t i = 0; i < 32; i++) {
        uint64_t byte;
        if (!nectar_json_next(&items) || !nectar_json_u64(items.value, &byte) || byte > 255) return NECTAR_BAD_JSON;
        hash[i] = (uint8_t)byte;
    }
    return NECTAR_OK;
}

nectar_code nectar_watch(nectar_text path) { return nectar__vfs_do(path, "Watch", NULL); }

nectar_code nectar_unwatch(nectar_text path) { return nectar__vfs_do(path, "Unwatch", NULL); }

/* Whether a request is of a system process of our own node. Another node can call any of its processes so. */
static bool nectar__is_from(const nectar_event *event, const char *process) {
    if (event->kind != NECTAR_REQUEST || !nectar_same(event->source.node, nectar__our.node)) return false;
    const nectar_process_id *source = &event->source.process;
    return nectar_is(source->package, "distro") && nectar_is(source->publisher, "sys") &&
           nectar_is(source->process, process);
}

bool nectar_change_parse(const nectar_event *event, nectar_change *change) {
    static const nectar_field fields[] = {
        NECTAR_FIELD(nectar_change, path, NECTAR_STR),
        NECTAR_FIELD(nectar_change, more, NECTAR_BOOL),
        NECTAR_FIELD(nectar_change, changes, NECTAR_RAW),
        NECTAR_END,
    };
    nectar_json value, told;
    nectar_text name;
    if (!nectar__is_from(event, "vfs") || nectar_json_parse(event->body, &value) != NECTAR_OK) return false;
    if (!nectar_json_variant(value, &name, &told)) return false;
    *change = (nectar_change){.ended = nectar_is(name, "Unwatched"), .changes = nectar_string("[]")};
    return (change->ended || nectar_is(name, "Changed")) && nectar_read_struct(told, fields, change);
}

/* --- databases --- */

static nectar_code nectar__database(const char *server, const char *db, nectar_json action, const nectar_text *data,
                                    nectar_json *answer, nectar_text *got) {
    nectar_writer writer = {0};
    nectar_blob blob = {{NULL, 0}, data == NULL ? (nectar_text){NULL, 0} : *data};
    nectar_put_object(&writer, NULL);
    nectar_put_object(&writer, "package_id");
    nectar_put_text(&writer, "package_name", nectar__our.process.package);
    nectar_put_text(&writer, "publisher_node", nectar__our.process.publisher);
    nectar_put_end(&writer);
    nectar_put_string(&writer, "db", db);
    nectar_put_json(&writer, "action", action);
    return nectar_ask(nectar_local(server), nectar_written(&writer), NECTAR__SECONDS, data == NULL ? NULL : &blob,
                      answer, got);
}

static nectar_code nectar__database_do(const char *server, const char *db, const char *action) {
    return nectar__database(server, db, nectar_format("\"%s\"", action), NULL, NULL, NULL);
}

static nectar_code nectar__begin(const char *server, const char *db, uint64_t *transaction) {
    nectar_json answer;
    nectar_code code = nectar__database(server, db, nectar_string("\"BeginTx\""), NULL, &answer, NULL);
    if (code != NECTAR_OK) return code;
    nectar_json begun = nectar_json_field(nectar_json_field(answer, "BeginTx"), "tx_id");
    return nectar_json_u64(begun, transaction) ? NECTAR_OK : NECTAR_BAD_JSON;
}

static nectar_code nectar__commit(const char *server, const char *db, uint64_t transaction) {
    nectar_json action = nectar_format("{\"Commit\":{\"tx_id\":%llu}}", (unsigned long long)transaction);
    return nectar__database(server, db, action, NULL, NULL, NULL);
}

static void nectar__put_transaction(nectar_writer *writer, uint64_t transaction) {
    if (transaction == 0) nectar_put_null(writer, "tx_id");
    else nectar_put_u64(writer, "tx_id", transaction);
}

/* {"Get":{"key":[97,98]}}, and with a transaction unless that is NULL. */
static nectar_json nectar__key_action(const char *action, nectar_text key, const uint64_t *transaction) {
    nectar_writer writer = {0};
    nectar_put_object(&writer, NULL);
    nectar_put_object(&writer, action);
    nectar_put_array(&writer, "key");
    for (size_t i = 0; i < key.len; i++) nectar_put_u64(&writer, NULL, (unsigned char)key.ptr[i]);
    nectar_put_end(&writer);
    if (transaction != NULL) nectar__put_transaction(&writer, *transaction);
    return nectar_written(&writer);
}

#define NECTAR__KV "kv:distro:sys"
#define NECTAR__SQLITE "sqlite:distro:sys"

nectar_code nectar_kv_open(const char *db) { return nectar__database_do(NECTAR__KV, db, "Open"); }

nectar_code nectar_kv_remove(const char *db) { return nectar__database_do(NECTAR__KV, db, "RemoveDb"); }

nectar_code nectar_kv_get(const char *db, nectar_text key, nectar_text *value) {
    return nectar__database(NECTAR__KV, db, nectar__key_action("Get", key, NULL), NULL, NULL, value);
}

nectar_code nectar_kv_set(const char *db, nectar_text key, nectar_text value, uint64_t transaction) {
    return nectar__database(NECTAR__KV, db, nectar__key_action("Set", key, &transaction), &value, NULL, NULL);
}

nectar_code nectar_kv_delete(const char *db, nectar_text key, uint64_t transaction) {
    return nectar__database(NECTAR__KV, db, nectar__key_action("Delete", key, &transaction), NULL, NULL, NULL);
}

nectar_code nectar_kv_begin(const char *db, uint64_t *transaction) { return nectar__begin(NECTAR__KV, db, transaction); }

nectar_code nectar_kv_commit(const char *db, uint64_t transaction) { return nectar__commit(NECTAR__KV, db, transaction); }

nectar_code nectar_sqlite_open(const char *db) { return nectar__database_do(NECTAR__SQLITE, db, "Open"); }

nectar_code nectar_sqlite_remove(const char *db) { return nectar__database_do(NECTAR__SQLITE, db, "RemoveDb"); }

nectar_code nectar_sqlite_read(const char *db, const char *query, nectar_json parameters, nectar_json *rows) {
    nectar_writer writer = {0};
    nectar_text got;
    nectar_put_object(&writer, NULL);
    nectar_put_object(&writer, "Read");
    nectar_put_string(&writer, "query", query);
    nectar_code code = nectar__database(NECTAR__SQLITE, db, nectar_written(&writer),
                                        parameters.ptr == NULL ? NULL : &parameters, NULL, &got);
    if (code != NECTAR_OK) return code;
    return nectar_json_parse(got.len == 0 ? nectar_string("[]") : got, rows);
}

nectar_code nectar_sqlite_write(const char *db, const char *statement, nectar_json parameters, uint64_t transaction) {
    nectar_writer writer = {0};
    nectar_put_object(&writer, NULL);
    nectar_put_object(&writer, "Write");
    nectar_put_string(&writer, "statement", statement);
    nectar__put_transaction(&writer, transaction);
    return nectar__database(NECTAR__SQLITE, db, nectar_written(&writer), parameters.ptr == NULL ? NULL : &parameters,
                            NULL, NULL);
}

nectar_code nectar_sqlite_begin(const char *db, uint64_t *transaction) {
    return nectar__begin(NECTAR__SQLITE, db, transaction);
}

nectar_code nectar_sqlite_commit(const char *db, uint64_t transaction) {
    return nectar__commit(NECTAR__SQLITE, db, transaction);
}

/* --- pages and WebSockets --- */

#define NECTAR__HTTP "http-server:distro:sys"

static nectar_writer nectar__binding(const char *kind, const char *path, bool authenticated) {
    nectar_writer writer = {0};
    nectar_put_object(&writer, NULL);
    nectar_put_object(&writer, kind);
    nectar_put_string(&writer, "path", path);
    nectar_put_bool(&writer, "authenticated", authenticated);
    return writer;
}

static nectar_code nectar__bind(nectar_writer *writer, const nectar_blob *blob) {
    return nectar_ask(nectar_local(NECTAR__HTTP), nectar_written(writer), NECTAR__SECONDS, blob, NULL, NULL);
}

static nectar_writer nectar__page_binding(const char *path, nectar_http_options options, bool cache) {
    nectar_writer writer = nectar__binding("Bind", path, options.authenticated);
    nectar_put_bool(&writer, "local_only", options.local_only);
    nectar_put_bool(&writer, "cache", cache);
    return writer;
}

nectar_code nectar_http_bind(const char *path, nectar_http_options options) {
    nectar_writer writer = nectar__page_binding(path, options, false);
    return nectar__bind(&writer, NULL);
}

nectar_code nectar_http_serve(const char *path, const char *mime, nectar_text page, nectar_http_options options) {
    nectar_blob blob = {nectar_string(mime), page};
    nectar_writer writer = nectar__page_binding(path, options, true);
    return nectar__bind(&writer, &blob);
}

static nectar_code nectar__serve_from(const char *path, const char *what, nectar_text place, nectar_http_options options) {
    nectar_writer writer = nectar__page_binding(path, options, false);
    nectar_put_text(&writer, what, place);
    return nectar__bind(&writer, NULL);
}

nectar_code nectar_http_serve_file(const char *path, nectar_text file, nectar_http_options options) {
    return nectar__serve_from(path, "file", file, options);
}

nectar_code nectar_http_serve_folder(const char *path, nectar_text folder, nectar_http_options options) {
    return nectar__serve_from(path, "folder", folder, options);
}

nectar_code nectar_http_receive_files(const char *path, nectar_text folder, uint64_t limit, nectar_http_options options) {
    nectar_writer writer = nectar__page_binding(path, options, false);
    nectar_put_text(&writer, "body_to", folder);
    if (limit > 0) nectar_put_u64(&writer, "body_limit", limit);
    return nectar__bind(&writer, NULL);
}

nectar_code nectar_http_bind_socket(const char *path, nectar_http_options options) {
    nectar_writer writer = nectar__binding("WebSocketBind", path, options.authenticated);
    nectar_put_bool(&writer, "extension", options.extension);
    return nectar__bind(&writer, NULL);
}

bool nectar_http_parse(const nectar_event *event, nectar_http_event *parsed) {
    static const nectar_field page_fields[] = {
        NECTAR_FIELD(nectar_http_event, method, NECTAR_STR),       NECTAR_FIELD(nectar_http_event, url, NECTAR_STR),
        NECTAR_FIELD(nectar_http_event, bound_path, NECTAR_STR),   NECTAR_FIELD(nectar_http_event, headers, NECTAR_RAW),
        NECTAR_FIELD(nectar_http_event, url_params, NECTAR_RAW),   NECTAR_FIELD(nectar_http_event, query_params, NECTAR_RAW),
        NECTAR_END,
    };
    static const nectar_field file_fields[] = {
        NECTAR_FIELD(nectar_body_file, path, NECTAR_STR),
        NECTAR_FIELD(nectar_body_file, length, NECTAR_U64),
        NECTAR_FIELD(nectar_body_file, hash, NECTAR_STR),
        NECTAR_END,
    };
    static const nectar_field socket_fields[] = {
        NECTAR_FIELD(nectar_http_event, path, NECTAR_STR),
        NECTAR_FIELD(nectar_http_event, message_type, NECTAR_STR),
        NECTAR_END,
    };
    nectar_json value, said;
    nectar_text name;
    uint64_t channel = 0;
    if (!nectar__is_from(event, "http-server")) return false;
    if (nectar_json_parse(event->body, &value) != NECTAR_OK || !nectar_json_variant(value, &name, &said)) return false;
    *parsed = (nectar_http_event){.kind = NECTAR_PAGE};
    if (nectar_is(name, "Http")) {
        nectar_json file = nectar_json_field(said, "body_file");
        bool has_file = nectar_json_kind_of(file) == NECTAR_JSON_OBJECT;
        if (has_file && !nectar_read_struct(file, file_fields, &parsed->body_file)) return false;
        return nectar_read_struct(said, page_fields, parsed);
    }
    bool closes = nectar_is(name, "WebSocketClose");
    if (closes) parsed->kind = NECTAR_SOCKET_CLOSE;
    else if (nectar_is(name, "WebSocketOpen")) parsed->kind = NECTAR_SOCKET_OPEN;
    else if (nectar_is(name, "WebSocketPush")) parsed->kind = NECTAR_SOCKET_MESSAGE;
    else return false;
    if (!nectar_json_u64(closes ? said : nectar_json_field(said, "channel_id"), &channel)) return false;
    parsed->channel = (uint32_t)channel;
    return closes || nectar_read_struct(said, socket_fields, parsed);
}

void nectar_http_reply(const nectar_http_answer *answer) {
    nectar_writer writer = {0};
    nectar_blob blob = {nectar_string(answer->mime), answer->body};
    nectar_put_object(&writer, NULL);
    nectar_put_u64(&writer, "status", answer->status == 0 ? 200 : answer->status);
    nectar_put_json(&writer, "headers", answer->headers.ptr == NULL ? nectar_string("{}") : answer->headers);
    if (answer->file.ptr != NULL) nectar_put_text(&writer, "file", answer->file);
    nectar_respond(&(nectar_reply){.body = nectar_written(&writer), .blob = answer->file.ptr == NULL ? &blob : NULL});
}

void nectar_http_respond(unsigned status, const char *mime, nectar_text body) {
    nectar_http_reply(&(nectar_http_answer){.status = status, .mime = mime, .body = body});
}

void nectar_http_respond_file(unsigned status, nectar_text path) {
    nectar_http_reply(&(nectar_http_answer){.status = status, .file = path});
}

static void nectar__push(uint32_t channel, const char *type, nectar_text bytes) {
    nectar_blob blob = {{NULL, 0}, bytes};
    nectar_text body = nectar_format("{\"WebSocketPush\":{\"channel_id\":%u,\"message_type\":\"%s\"}}", channel, type);
    nectar_send(&(nectar_request){.target = nectar_local(NECTAR__HTTP), .body = body, .blob = &blob});
}

void nectar_http_push(uint32_t channel, nectar_text text) { nectar__push(channel, "Text", text); }

void nectar_http_push_bytes(uint32_t channel, nectar_text bytes) { nectar__push(channel, "Binary", bytes); }

void nectar_http_close(uint32_t channel) {
    nectar_text body = nectar_format("{\"WebSocketClose\":%u}", channel);
    nectar_send(&(nectar_request){.target = nectar_local(NECTAR__HTTP), .body = body});
}

/* --- servers of the internet --- */

nectar_code nectar_fetch(const nectar_fetch_request *request, nectar_fetched *fetched) {
    nectar_writer writer = {0};
    nectar_blob blob = {{NULL, 0}, request->body};
    nectar_json answer;
    nectar_put_object(&writer, NULL);
    nectar_put_object(&writer, "Http");
    nectar_put_string(&writer, "method", request->method == NULL ? "GET" : request->method);
    nectar_put_null(&writer, "version");
    nectar_put_text(&writer, "url", request->url);
    nectar_put_json(&writer, "headers", request->headers.ptr == NULL ? nectar_string("{}") : request->headers);
    nectar_code code = nectar_ask(nectar_local("http_client:distro:sys"), nectar_written(&writer),
                                  request->seconds == 0 ? 30 : request->seconds,
                                  request->body.ptr == NULL ? NULL : &blob, &answer, &fetched->body);
    if (code != NECTAR_OK) return code;
    nectar_json told = nectar_json_field(nectar_json_field(answer, "Ok"), "Http");
    fetched->headers = nectar_json_field(told, "headers");
    return nectar_json_u64(nectar_json_field(told, "status"), &fetched->status) ? NECTAR_OK : NECTAR_BAD_JSON;
}

#endif /* NECTAR_IMPLEMENTED */
#endif /* NECTAR_IMPLEMENTATION */

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
 * This file is all that a process includes, and declares what is there; how it is done lies in the folder `implementation`
 * beside it, a file for each part. Names that begin with `nectar__` are of no concern to processes.
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

#include "implementation/library.h"
#include "implementation/interface.h"
#include "implementation/memory.h"
#include "implementation/codes.h"
#include "implementation/addresses.h"
#include "implementation/messages.h"
#include "implementation/kernel.h"
#include "implementation/text.h"
#include "implementation/json_reading.h"
#include "implementation/floats.h"
#include "implementation/json_writing.h"
#include "implementation/state.h"
#include "implementation/time.h"
#include "implementation/files.h"
#include "implementation/databases.h"
#include "implementation/http_server.h"
#include "implementation/http_client.h"

#endif /* NECTAR_IMPLEMENTED */
#endif /* NECTAR_IMPLEMENTATION */

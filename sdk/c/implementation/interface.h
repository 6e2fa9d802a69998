/* The interface: nectar:process/standard@0.7.0 by the Component Model's canonical ABI. Parameters are passed as up to
 * 16 flat values, or else by a pointer to a record of them; results of more than one value through a last pointer. */

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

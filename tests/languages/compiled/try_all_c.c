/* Tries each client of the C SDK, as a request says: "Files" and the like. */

#define NECTAR_IMPLEMENTATION
#include "nectar.h"

#define TRY(condition)                                                                                                 \
    if (!(condition)) return "not so: " #condition

typedef struct {
    double number;
    int64_t small;
    bool flag;
    nectar_text text;
    nectar_json list;
} kept;

static const nectar_field fields[] = {
    NECTAR_FIELD(kept, number, NECTAR_DOUBLE), NECTAR_FIELD(kept, small, NECTAR_I64), NECTAR_FIELD(kept, flag, NECTAR_BOOL),
    NECTAR_FIELD(kept, text, NECTAR_STR),      NECTAR_FIELD(kept, list, NECTAR_RAW),  NECTAR_END,
};
static const nectar_state state = {.version = 3, .fields = fields};

static nectar_text text(const char *string) { return nectar_string(string); }

static nectar_text in(nectar_text folder, const char *name) { return nectar_format("%.*s/%s", NECTAR_ARG(folder), name); }

static const char *files(void) {
    nectar_text drive = nectar_drive("notes"), path = in(drive, "a.txt"), found;
    nectar_metadata metadata;
    const nectar_entry *entries;
    size_t count;
    uint64_t space;
    uint8_t hash[32];
    TRY(nectar_create_drive(drive) == NECTAR_OK);
    TRY(nectar_write_file(path, text("hello")) == NECTAR_OK);
    TRY(nectar_append(path, text(", world")) == NECTAR_OK);
    TRY(nectar_write_at(path, 0, text("H")) == NECTAR_OK);
    TRY(nectar_create_dir(in(drive, "inner")) == NECTAR_OK);
    TRY(nectar_copy_file(path, in(drive, "inner/b.txt")) == NECTAR_OK);
    TRY(nectar_rename(in(drive, "inner/b.txt"), in(drive, "inner/c.txt")) == NECTAR_OK);
    TRY(nectar_sync(path) == NECTAR_OK);
    TRY(nectar_read_file(path, &found) == NECTAR_OK && nectar_is(found, "Hello, world"));
    TRY(nectar_read_at(path, 7, 100, &found) == NECTAR_OK && nectar_is(found, "world"));
    TRY(nectar_metadata_of(path, &metadata) == NECTAR_OK && metadata.len == 12 && nectar_is(metadata.file_type, "File"));
    TRY(nectar_free_space(drive, &space) == NECTAR_OK && space > 0);
    TRY(nectar_read_dir(drive, text(""), &entries, &count) == NECTAR_OK && count == 2);
    TRY(nectar_is(entries[0].name, "a.txt") && nectar_is(entries[1].file_type, "Directory"));
    TRY(nectar_read_dir(drive, entries[1].name, &entries, &count) == NECTAR_OK && count == 0);
    TRY(nectar_hash(path, hash) == NECTAR_OK && nectar_same((nectar_text){(char *)hash, 4}, text("\xfe\x44\xe8\x5b")));
    TRY(nectar_set_length(path, 5) == NECTAR_OK);
    TRY(nectar_read_file(path, &found) == NECTAR_OK && nectar_is(found, "Hello"));
    TRY(nectar_create_file(path) == NECTAR_OK);
    TRY(nectar_read_file(path, &found) == NECTAR_OK && found.len == 0);
    TRY(nectar_remove_file(path) == NECTAR_OK);
    TRY(nectar_remove_dir(in(drive, "inner")) == NECTAR_OK);
    TRY(nectar_read_file(path, &found) == NECTAR_NOT_FOUND);
    TRY(nectar_rename(path, in(drive, "b.txt")) != NECTAR_OK);
    return NULL;
}

static const char *keys_and_values(void) {
    nectar_text found;
    uint64_t number;
    TRY(nectar_kv_open("notes") == NECTAR_OK);
    TRY(nectar_kv_set("notes", (nectar_text){"\0a", 2}, text("x"), 0) == NECTAR_OK);
    TRY(nectar_kv_get("notes", (nectar_text){"\0a", 2}, &found) == NECTAR_OK && nectar_is(found, "x"));
    TRY(nectar_kv_get("notes", text("b"), &found) == NECTAR_NOT_FOUND);
    TRY(nectar_kv_begin("notes", &number) == NECTAR_OK);
    TRY(nectar_kv_set("notes", text("b"), text(""), number) == NECTAR_OK);
    TRY(nectar_kv_delete("notes", (nectar_text){"\0a", 2}, number) == NECTAR_OK);
    TRY(nectar_kv_get("notes", text("b"), &found) == NECTAR_NOT_FOUND);
    TRY(nectar_kv_commit("notes", number) == NECTAR_OK);
    TRY(nectar_kv_get("notes", text("b"), &found) == NECTAR_OK && found.len == 0);
    TRY(nectar_kv_remove("notes") == NECTAR_OK);
    TRY(nectar_kv_get("notes", text("b"), &found) == NECTAR_REFUSED);
    TRY(nectar_contains(nectar_explain(NECTAR_REFUSED), "NoDb"));
    return NULL;
}

static const char *sql(void) {
    nectar_json rows, none = {NULL, 0};
    uint64_t number;
    double price;
    TRY(nectar_sqlite_open("shop") == NECTAR_OK);
    TRY(nectar_sqlite_write("shop", "CREATE TABLE prices (name TEXT, price REAL)", none, 0) == NECTAR_OK);
    TRY(nectar_sqlite_begin("shop", &number) == NECTAR_OK);
    TRY(nectar_sqlite_write("shop", "INSERT INTO prices VALUES (?, ?)", text("[\"green tea\", 2.5]"), number) == NECTAR_OK);
    TRY(nectar_sqlite_commit("shop", number) == NECTAR_OK);
    TRY(nectar_sqlite_read("shop", "SELECT * FROM prices WHERE price < ?", text("[3]"), &rows) == NECTAR_OK);
    nectar_items items = nectar_json_items(rows);
    TRY(nectar_json_next(&items));
    TRY(nectar_json_double(nectar_json_field(items.value, "price"), &price) && price == 2.5);
    TRY(!nectar_json_next(&items));
    TRY(nectar_sqlite_read("shop", "SELECT * FROM prices WHERE price < 0", none, &rows) == NECTAR_OK);
    TRY(nectar_is(rows, "[]"));
    TRY(nectar_sqlite_write("shop", "INSERT INTO nothing VALUES (1)", none, 0) == NECTAR_REFUSED);
    TRY(nectar_sqlite_remove("shop") == NECTAR_OK);
    return NULL;
}

static const char *time_and_chance(void) {
    unsigned char one[16] = {0}, other[16] = {0};
    uint64_t before = nectar_monotonic(), now = nectar_now(), seen = 0;
    TRY(nectar_sleep(50) == NECTAR_OK);
    TRY(nectar_monotonic() - before >= 40000000 && nectar_monotonic() - before < 30000000000);
    TRY(now > 1700000000000000000 && nectar_now() >= now);
    nectar_random(one, sizeof one);
    nectar_random(other, sizeof other);
    TRY(!nectar_same((nectar_text){(char *)one, sizeof one}, (nectar_text){(char *)other, sizeof other}));
    for (int i = 0; i < 200; i++) seen |= 1ULL << nectar_random_below(5);
    TRY(seen == 31);
    return NULL;
}

static const char *states(void) {
    kept value = {.number = 0.5, .text = text("x"), .list = text("[]")};
    TRY(nectar_load(&state, &value) == NECTAR_OK);
    value = (kept){.number = value.number + 0.25, .small = -7, .flag = true, .text = text("ü\n"), .list = text("[1,{}]")};
    nectar_save(&state, &value);
    kept again = {0};
    TRY(nectar_load(&state, &again) == NECTAR_OK);
    TRY(again.number == value.number && again.small == -7 && again.flag);
    TRY(nectar_is(again.text, "ü\n") && nectar_is(again.list, "[1,{}]"));
    nectar_state earlier = {.version = 2, .fields = fields}, later = {.version = 4, .fields = fields};
    TRY(nectar_load(&earlier, &again) == NECTAR_BAD_STATE);
    TRY(nectar_is(nectar_explain(NECTAR_BAD_STATE), "the saved state is of version 3, and this process knows 2"));
    TRY(nectar_load(&later, &again) == NECTAR_BAD_STATE);
    return NULL;
}

static const char *logs(void) {
    nectar_log(NECTAR_DEBUG, "never shown");
    nectar_log_level(NECTAR_DEBUG);
    nectar_log(NECTAR_WARNING, "%s: %d %u %lld %llu %x %c %g %g %%", "logged", -1, 2u, -3LL, 4ULL, 255, 'c', 0.1, 1e300);
    nectar_log_level(NECTAR_INFO);
    return NULL;
}

static const char *internet(nectar_json url) {
    nectar_fetched fetched;
    nectar_text type;
    nectar_fetch_request bad = {.url = text("http://127.0.0.1:1/")};
    nectar_fetch_request good = {.method = "POST", .headers = text("{\"x-add\":\"!\"}"), .body = text("ping")};
    TRY(nectar_fetch(&bad, &fetched) == NECTAR_REFUSED);
    TRY(nectar_contains(nectar_explain(NECTAR_REFUSED), "BadUrl"));
    TRY(nectar_json_text(url, &good.url));
    TRY(nectar_fetch(&good, &fetched) == NECTAR_OK && fetched.status == 201);
    TRY(nectar_is(fetched.body, "ping!"));
    TRY(nectar_json_text(nectar_json_field(fetched.headers, "content-type"), &type) && nectar_is(type, "text/x"));
    return NULL;
}

/* The path that has changed and was watched. */
static nectar_text changed;

static const char *watch(void) {
    nectar_text drive = nectar_drive("notes");
    TRY(nectar_create_drive(drive) == NECTAR_OK);
    TRY(nectar_unwatch(drive) == NECTAR_NOT_FOUND);
    TRY(nectar_watch(drive) == NECTAR_OK);
    return NULL;
}

static const char *seen(void) {
    TRY(nectar_contains(changed, "/notes/a.txt"));
    TRY(nectar_unwatch(nectar_drive("notes")) == NECTAR_OK);
    return NULL;
}

static const char *web(void) {
    nectar_text drive = nectar_drive("web"), file = in(drive, "help.txt");
    nectar_http_options all = {0}, ours = {.local_only = true}, program = {.extension = true};
    TRY(nectar_create_drive(drive) == NECTAR_OK && nectar_write_file(file, text("help!")) == NECTAR_OK);
    TRY(nectar_http_serve("/page", "text/x", text("a page"), ours) == NECTAR_OK);
    TRY(nectar_http_serve_file("/help", file, all) == NECTAR_OK);
    TRY(nectar_http_serve_folder("/all", drive, all) == NECTAR_OK);
    TRY(nectar_http_receive_files("/sent", in(drive, "sent"), 5, all) == NECTAR_OK);
    TRY(nectar_http_bind("/games/:id", all) == NECTAR_OK);
    TRY(nectar_http_bind_socket("/program", program) == NECTAR_OK);
    TRY(nectar_http_serve_file("/help", text("/other:sys/pkg/help.txt"), all) == NECTAR_REFUSED);
    return NULL;
}

static void show(const nectar_http_event *asked) {
    nectar_text id, sent;
    if (asked->body_file.path.ptr != NULL) {
        if (nectar_read_file(asked->body_file.path, &sent) != NECTAR_OK || sent.len != asked->body_file.length) sent.len = 0;
        nectar_http_respond(200, "text/x", nectar_format("%.*s %.*s", NECTAR_ARG(sent), 8, asked->body_file.hash.ptr));
    } else if (nectar_json_text(nectar_json_field(asked->url_params, "id"), &id)) {
        nectar_http_reply(&(nectar_http_answer){.status = 201, .headers = text("{\"X-Made\":\"yes\"}"), .body = id});
    } else {
        nectar_http_respond(400, "text/x", text("nothing was sent"));
    }
}

static const char *attempt(nectar_text body) {
    nectar_json value, url;
    nectar_text kind;
    TRY(nectar_json_parse(body, &value) == NECTAR_OK && nectar_json_variant(value, &kind, &url));
    if (nectar_is(kind, "Internet")) return internet(url);
    if (nectar_is(kind, "Files")) return files();
    if (nectar_is(kind, "Keys")) return keys_and_values();
    if (nectar_is(kind, "Sql")) return sql();
    if (nectar_is(kind, "Time")) return time_and_chance();
    if (nectar_is(kind, "State")) return states();
    if (nectar_is(kind, "Logs")) return logs();
    if (nectar_is(kind, "Watch")) return watch();
    if (nectar_is(kind, "Seen")) return seen();
    if (nectar_is(kind, "Web")) return web();
    return "that is nothing to try";
}

void nectar_main(nectar_address our) {
    (void)our;
    for (;;) {
        nectar_event event;
        nectar_change change;
        nectar_http_event asked;
        nectar_receive(&event);
        if (!nectar_wants_answer(&event)) continue;
        if (nectar_http_parse(&event, &asked)) {
            show(&asked);
            continue;
        }
        if (nectar_change_parse(&event, &change)) {
            changed = nectar_keep(change.changes);
            nectar_respond(&(nectar_reply){.body = text("\"Ok\"")});
            continue;
        }
        const char *wrong = attempt(event.body);
        nectar_writer answer = {0};
        nectar_put_string(&answer, NULL, wrong == NULL ? "done" : wrong);
        nectar_respond(&(nectar_reply){.body = nectar_written(&answer)});
    }
}

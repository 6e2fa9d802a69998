/* A counter that goes on counting after a restart.
 *
 *     {"Add": 5}  →  {"Count": 5}
 *     "Get"       →  {"Count": 5}
 *
 * What is saved is {"version": 2, "count": 5, "adds": 1}.
 */

#define NECTAR_IMPLEMENTATION
#include "nectar.h"

enum { MAX_ADD = 1000000000 };

typedef struct {
    uint64_t count;
    uint64_t adds; /* how often something was added; the first version did not know that */
} counted;

static const nectar_field fields[] = {
    NECTAR_FIELD(counted, count, NECTAR_U64),
    NECTAR_FIELD(counted, adds, NECTAR_U64),
    NECTAR_END,
};

/* Version 1 was the count alone, as eight bytes, the least significant first. */
static bool migrate(uint64_t from, nectar_text saved, void *value) {
    if (from != 1 || saved.len != sizeof(uint64_t)) return false;
    nectar_copy(&((counted *)value)->count, saved.ptr, saved.len);
    return true;
}

static const nectar_state state = {.version = 2, .fields = fields, .migrate = migrate};
static counted total;

/* Whether the body is one that we know; then it is done. */
static bool handle(nectar_text body) {
    nectar_json asked, payload;
    nectar_text kind;
    uint64_t number;
    if (nectar_json_parse(body, &asked) != NECTAR_OK || !nectar_json_variant(asked, &kind, &payload)) return false;
    if (nectar_is(kind, "Get")) return payload.ptr == NULL;
    if (!nectar_is(kind, "Add") || !nectar_json_u64(payload, &number) || number > MAX_ADD) return false;
    total.count += number;
    total.adds += 1;
    nectar_save(&state, &total);
    return true;
}

void nectar_main(nectar_address our) {
    (void)our;
    nectar_code loaded = nectar_load(&state, &total);
    if (loaded != NECTAR_OK) {
        nectar_text why = nectar_explain(loaded);
        nectar_log(NECTAR_ERROR, "%.*s", NECTAR_ARG(why));
        nectar_panic("the saved count stays as it is");
    }
    for (;;) {
        nectar_event event;
        nectar_receive(&event);
        if (!nectar_wants_answer(&event)) continue;
        nectar_writer answer = {0};
        nectar_put_object(&answer, NULL);
        if (handle(event.body)) nectar_put_u64(&answer, "Count", total.count);
        else nectar_put_string(&answer, "Err", "expected {\"Add\": NUMBER} or \"Get\"");
        nectar_respond(&(nectar_reply){.body = nectar_written(&answer)});
    }
}
